//! Hyper-parameters and how runs ended, for TensorBoard's HParams tab.

use serde_json::{Map, Value as Json};

use crate::proto::hparams::h_params_plugin_data::Data;
use crate::proto::hparams::value::Kind;
use crate::proto::hparams::{
    DataType, DatasetType, Experiment, HParamInfo, HParamsPluginData, MetricInfo, MetricName, SessionEndInfo,
    SessionStartInfo, Status, Value,
};

/// A metric that the HParams tab shows beside the hyper-parameters: the scalars of a tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metric {
    /// The folder of the run that logs it, below that of the hyper-parameters; empty for the same.
    pub run: String,
    /// Its tag.
    pub tag: String,
    /// Whether it is measured on the data that are trained on.
    pub of_training: bool,
}

/// Tags that the plugin knows.
pub(super) const EXPERIMENT: &str = "_hparams_/experiment";
pub(super) const SESSION_START: &str = "_hparams_/session_start_info";
pub(super) const SESSION_END: &str = "_hparams_/session_end_info";

/// The columns of the table.
pub(super) fn experiment(settings: &Map<String, Json>, metrics: &[Metric], now: f64) -> HParamsPluginData {
    let info = |(name, value): (&String, &Json)| HParamInfo {
        name: name.clone(),
        r#type: match value {
            Json::Bool(_) => DataType::Bool,
            Json::Number(_) => DataType::Float64,
            _ => DataType::String,
        }
        .into(),
    };
    let metric = |metric: &Metric| MetricInfo {
        name: Some(MetricName { group: metric.run.clone(), tag: metric.tag.clone() }),
        display_name: format!("{} {}", metric.run, metric.tag).trim().to_owned(),
        dataset_type: match metric.of_training {
            true => DatasetType::DatasetTraining,
            false => DatasetType::DatasetValidation,
        }
        .into(),
    };
    plugin_data(Data::Experiment(Experiment {
        time_created_secs: now,
        hparam_infos: settings.iter().map(info).collect(),
        metric_infos: metrics.iter().map(metric).collect(),
    }))
}

/// A row's values.
pub(super) fn session_start(settings: &Map<String, Json>, now: f64) -> HParamsPluginData {
    let value = |(name, json): (&String, &Json)| {
        let kind = match json {
            Json::Bool(truth) => Kind::BoolValue(*truth),
            Json::Number(number) => Kind::NumberValue(number.as_f64().unwrap_or(f64::NAN)),
            Json::String(text) => Kind::StringValue(text.clone()),
            other => Kind::StringValue(other.to_string()),
        };
        (name.clone(), Value { kind: Some(kind) })
    };
    let hparams = settings.iter().map(value).collect();
    plugin_data(Data::SessionStartInfo(SessionStartInfo { hparams, start_time_secs: now }))
}

/// A run that came to its end.
pub(super) fn session_end(now: f64) -> HParamsPluginData {
    plugin_data(Data::SessionEndInfo(SessionEndInfo { status: Status::Success.into(), end_time_secs: now }))
}

fn plugin_data(data: Data) -> HParamsPluginData {
    HParamsPluginData { version: 0, data: Some(data) }
}

//! Hyper-parameters and how runs ended, for TensorBoard's HParams tab.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json};

use crate::proto::hparams::h_params_plugin_data::Data;
use crate::proto::hparams::value::Kind;
use crate::proto::hparams::{
    DataType, Experiment, HParamInfo, HParamsPluginData, MetricInfo, MetricName, SessionEndInfo,
    SessionStartInfo, Status, Value,
};

/// Tags that the plugin knows.
pub(super) const EXPERIMENT: &str = "_hparams_/experiment";
pub(super) const SESSION_START: &str = "_hparams_/session_start_info";
pub(super) const SESSION_END: &str = "_hparams_/session_end_info";

/// The columns of the table.
pub(super) fn experiment(settings: &Map<String, Json>, metrics: &[&str], now: f64) -> HParamsPluginData {
    let info = |(name, value): (&String, &Json)| HParamInfo {
        name: name.clone(),
        r#type: match value {
            Json::Bool(_) => DataType::Bool,
            Json::Number(_) => DataType::Float64,
            _ => DataType::String,
        }
        .into(),
    };
    // Without a group the scalars are those of the session's own run.
    let metric = |tag: &&str| MetricInfo {
        name: Some(MetricName { group: String::new(), tag: (*tag).to_owned() }),
        display_name: (*tag).to_owned(),
    };
    plugin_data(Data::Experiment(Experiment {
        time_created_secs: now,
        hparam_infos: settings.iter().map(info).collect(),
        metric_infos: metrics.iter().map(metric).collect(),
    }))
}

/// A row's values.
pub(super) fn session_start(settings: &Map<String, Json>, now: f64) -> HParamsPluginData {
    let value = |json: &Json| {
        let kind = match json {
            Json::Bool(truth) => Kind::BoolValue(*truth),
            Json::Number(number) => Kind::NumberValue(number.as_f64().unwrap_or(f64::NAN)),
            Json::String(text) => Kind::StringValue(text.clone()),
            other => Kind::StringValue(other.to_string()),
        };
        Value { kind: Some(kind) }
    };
    let mut hparams = BTreeMap::new();
    for (name, json) in settings {
        hparams.insert(name.clone(), value(json));
    }
    plugin_data(Data::SessionStartInfo(SessionStartInfo { hparams, start_time_secs: now }))
}

/// A run that came to its end.
pub(super) fn session_end(now: f64) -> HParamsPluginData {
    plugin_data(Data::SessionEndInfo(SessionEndInfo { status: Status::Success.into(), end_time_secs: now }))
}

fn plugin_data(data: Data) -> HParamsPluginData {
    HParamsPluginData { version: 0, data: Some(data) }
}

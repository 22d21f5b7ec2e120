//! Event files read back, as TensorBoard reads a run.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::common::proto::events::Event;
use crate::common::proto::events::event::What;
use crate::common::proto::events::session_log::SessionStatus;
use crate::common::proto::events::summary::value::Value;
use crate::common::proto::tensor::TensorProto;
use floret::record::RecordReader;
use prost::Message;

/// The event files of a folder, in the order of their names.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = entries.filter(|path| path.to_string_lossy().contains("tfevents")).collect();
    files.sort();
    files
}

/// Every event of a file, which must be whole.
pub fn events(file: &Path) -> Vec<Event> {
    let (mut reader, mut payload) = (RecordReader::open(file).unwrap(), Vec::new());
    let mut events = Vec::new();
    while reader.read_into(&mut payload).unwrap().is_some() {
        events.push(Event::decode(&*payload).unwrap());
    }
    events
}

/// The only file's events in a folder.
pub fn only_events(folder: &Path) -> Vec<Event> {
    let files = files(folder);
    assert_eq!(files.len(), 1, "{files:?}");
    events(&files[0])
}

/// The tensors of a run by tag, with their steps: a session that starts at a step supersedes what was logged from there on.
pub fn run(folder: &Path) -> BTreeMap<String, Vec<(i64, TensorProto)>> {
    let mut tags: BTreeMap<String, Vec<(i64, TensorProto)>> = BTreeMap::new();
    for event in files(folder).iter().flat_map(|file| events(file)) {
        match event.what.unwrap() {
            What::SessionLog(log) if log.status() == SessionStatus::Start => {
                tags.values_mut().for_each(|values| values.retain(|(step, _)| *step < event.step));
                tags.retain(|_, values| !values.is_empty());
            }
            What::Summary(summary) => {
                for value in summary.value {
                    let Some(Value::Tensor(tensor)) = value.value else {
                        panic!("{} is no tensor", value.tag)
                    };
                    tags.entry(value.tag).or_default().push((event.step, tensor));
                }
            }
            _ => {}
        }
    }
    tags
}

/// The steps and numbers of a scalar.
pub fn scalar(folder: &Path, tag: &str) -> Vec<(i64, f32)> {
    let run = run(folder);
    run[tag].iter().map(|(step, tensor)| (*step, tensor.float_val[0])).collect()
}

/// The steps of a tag.
pub fn steps(folder: &Path, tag: &str) -> Vec<i64> {
    run(folder).get(tag).map_or(Vec::new(), |values| values.iter().map(|(step, _)| *step).collect())
}

/// The sizes of a tensor's axes.
pub fn sizes(tensor: &TensorProto) -> Vec<i64> {
    tensor.tensor_shape.as_ref().unwrap().dim.iter().map(|dim| dim.size).collect()
}

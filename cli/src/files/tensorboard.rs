//! TensorBoard's event files: protocol buffers in TensorFlow's record framing.
//!
//! The messages have the fields of TensorFlow's `event.proto` and `summary.proto` that scalars need.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context;
use prost::Message;
use serde::Serialize;
use serde_json::Value as Json;

use super::append_log::AppendLog;

/// An event file that is appended to.
#[derive(Debug)]
pub(crate) struct EventLog(pub(crate) AppendLog);

#[derive(Clone, PartialEq, Message)]
struct Event {
    #[prost(double, tag = "1")]
    wall_time: f64,
    #[prost(int64, tag = "2")]
    step: i64,
    #[prost(string, optional, tag = "3")]
    file_version: Option<String>,
    #[prost(message, optional, tag = "5")]
    summary: Option<ScalarSummary>,
}

#[derive(Clone, PartialEq, Message)]
struct ScalarSummary {
    #[prost(message, repeated, tag = "1")]
    value: Vec<Scalar>,
}

#[derive(Clone, PartialEq, Message)]
struct Scalar {
    #[prost(string, tag = "1")]
    tag: String,
    /// A member of a `oneof`: a 0 must be written too, or TensorBoard sees no value.
    #[prost(float, optional, tag = "2")]
    simple_value: Option<f32>,
}

impl EventLog {
    /// Creates an event file in `folder`, and the folder.
    ///
    /// # Errors
    /// If they cannot be created.
    pub(crate) fn create(folder: &Path) -> anyhow::Result<Self> {
        let path = folder.join(format!("{PREFIX}{}{SUFFIX}", since_1970().as_secs()));
        fs::create_dir_all(folder).with_context(|| format!("could not make {}", folder.display()))?;
        let mut events = Self(AppendLog::create(path)?);
        events.push(0, Some("brain.Event:2".to_owned()), None)?;
        Ok(events)
    }

    /// Appends an event with every number of a report, tagged `group/name`, at `step`.
    ///
    /// # Errors
    /// If `report` has no JSON form or the file cannot be written.
    pub(crate) fn report(&mut self, group: &str, step: u64, report: &impl Serialize) -> anyhow::Result<()> {
        let mut value = Vec::new();
        scalars(group, &serde_json::to_value(report)?, &mut value);
        self.push(step as i64, None, Some(ScalarSummary { value }))
    }

    fn push(
        &mut self,
        step: i64,
        file_version: Option<String>,
        summary: Option<ScalarSummary>,
    ) -> anyhow::Result<()> {
        let wall_time = since_1970().as_secs_f64();
        let event = Event { wall_time, step, file_version, summary }.encode_to_vec();
        self.0.push(&framed(&event))
    }
}

/// Whether `name` is the name of an event file that this program writes.
pub(crate) fn is_ours(name: &str) -> bool {
    let seconds = name.strip_prefix(PREFIX).and_then(|rest| rest.strip_suffix(SUFFIX));
    seconds.is_some_and(|seconds| seconds.parse::<u64>().is_ok())
}

/// Appends the numbers of a report to `into`. Numbers in nested objects are tagged `prefix/object/name`.
fn scalars(prefix: &str, report: &Json, into: &mut Vec<Scalar>) {
    match report {
        Json::Object(fields) => {
            for (name, value) in fields.iter().filter(|(name, _)| !COUNTERS.contains(&&***name)) {
                scalars(&format!("{prefix}/{name}"), value, into);
            }
        }
        Json::Number(number) => {
            let simple_value = number.as_f64().map(|number| number as f32);
            into.push(Scalar { tag: prefix.to_owned(), simple_value });
        }
        _ => {}
    }
}

/// TensorFlow's record: length, checksum of the length, data, checksum of the data; all little-endian.
fn framed(data: &[u8]) -> Vec<u8> {
    let length = (data.len() as u64).to_le_bytes();
    [&length[..], &masked(&length), data, &masked(data)].concat()
}

/// TensorFlow's masked CRC-32C.
fn masked(data: &[u8]) -> [u8; 4] {
    crc32c::crc32c(data).rotate_right(15).wrapping_add(0xa282_ead8).to_le_bytes()
}

fn since_1970() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

const PREFIX: &str = "events.out.tfevents.";
const SUFFIX: &str = ".recsim";
/// Left out, because the event's step has them.
const COUNTERS: [&str; 2] = ["episode", "round"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn record_has_tensorflow_framing() {
        // TensorFlow's file version event at wall time 0.
        let event = Event { wall_time: 0.0, step: 0, file_version: Some("brain.Event:2".into()), summary: None };
        let data = event.encode_to_vec();
        assert_eq!(data, b"\x1a\x0dbrain.Event:2");
        let record = framed(&data);
        assert_eq!(record[..8], 15_u64.to_le_bytes());
        assert_eq!(record.len(), 8 + 4 + 15 + 4);
        // CRC-32C's check value is that of "123456789".
        assert_eq!(crc32c::crc32c(b"123456789"), 0xe306_9283);
        assert_eq!(masked(b"123456789"), 0xe306_9283_u32.rotate_right(15).wrapping_add(0xa282_ead8).to_le_bytes());
    }

    #[test]
    fn event_log_contains_the_numbers_of_a_report() {
        let folder = tempfile::tempdir().unwrap();
        let mut events = EventLog::create(folder.path()).unwrap();
        let report =
            serde_json::json!({"episode": 1, "rate": 0.5, "learning": null, "seconds": {"step": 2.0, "none": 0.0}});
        events.report("round", 7, &report).unwrap();
        drop(events);
        let file = fs::read_dir(folder.path()).unwrap().next().unwrap().unwrap();
        let mut bytes = &fs::read(file.path()).unwrap()[..];
        let mut read = Vec::new();
        while !bytes.is_empty() {
            let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
            let data = &bytes[12..12 + length];
            assert_eq!(bytes[8..12], masked(&bytes[..8]));
            assert_eq!(bytes[12 + length..16 + length], masked(data));
            read.push(Event::decode(data).unwrap());
            bytes = &bytes[16 + length..];
        }
        assert_eq!(read[0].file_version.as_deref(), Some("brain.Event:2"));
        let values = &read[1].summary.as_ref().unwrap().value;
        let values: Vec<_> = values.iter().map(|scalar| (&*scalar.tag, scalar.simple_value)).collect();
        let expected = [("round/rate", 0.5), ("round/seconds/none", 0.0), ("round/seconds/step", 2.0)];
        assert_eq!((read[1].step, values), (7, expected.map(|(tag, value)| (tag, Some(value))).to_vec()));
    }
}

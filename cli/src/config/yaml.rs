//! A YAML document as a small tree in which every value has its line.
//!
//! A configuration consists of mappings, scalars and lists. Other features of YAML (aliases, with which a short file
//! can expand without limit; merge keys; several documents) are errors, reported with their line.

use saphyr::Scalar;
use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span};
use serde_json::{Number, Value};

use std::borrow::Cow;
use std::collections::HashMap;

/// A value and its first line, counted from 1.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Node {
    pub(super) line: usize,
    pub(super) data: Data,
}

/// The content of a node.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Data {
    /// A scalar or a list.
    Value(Value),
    /// Keys in the order of the file, each with its line.
    Mapping(Vec<(String, usize, Node)>),
}

/// What is wrong with a document, and on which line.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct YamlError {
    pub(super) line: usize,
    pub(super) problem: String,
}

/// Parses one document. Returns `None` if the text contains none.
///
/// # Errors
/// If the text is not YAML, or uses a feature that a configuration does not need.
pub(super) fn parse(text: &str) -> Result<Option<Node>, YamlError> {
    let mut events = EventReader(Parser::new_from_str(text));
    let mut root = None;
    loop {
        match events.next()? {
            (Event::StreamEnd, _) => return Ok(root),
            (Event::StreamStart | Event::DocumentStart(_) | Event::DocumentEnd | Event::Nothing, _) => {}
            (event, span) if root.is_none() => root = Some(events.node(event, span, 0)?),
            (_, span) => return Err(error_at(span, "a second document begins here, and only one is read")),
        }
    }
}

struct EventReader<'a>(Parser<'a, saphyr_parser::StrInput<'a>>);

impl<'a> EventReader<'a> {
    fn next(&mut self) -> Result<(Event<'a>, Span), YamlError> {
        match self.0.next_event() {
            None => Ok((Event::StreamEnd, Span::default())),
            Some(event) => event.map_err(|error| syntax(&error)),
        }
    }

    fn node(&mut self, event: Event<'a>, span: Span, depth: usize) -> Result<Node, YamlError> {
        if depth > MAX_DEPTH {
            return Err(error_at(
                span,
                "this is nested too deeply: a configuration has groups of keys, and no deeper levels",
            ));
        }
        let data = match event {
            Event::Scalar(text, style, _, tag) => {
                if let Some(tag) = tag {
                    return Err(error_at(
                        span,
                        &format!("a tag (`{}{}`) is not supported", tag.handle, tag.suffix),
                    ));
                }
                Data::Value(scalar(text, style))
            }
            Event::SequenceStart(..) => Data::Value(self.list(depth)?),
            Event::MappingStart(..) => Data::Mapping(self.mapping(depth)?),
            _ => return Err(error_at(span, "an alias (`*name`) is not supported: write the value out")),
        };
        Ok(Node { line: span.start.line(), data })
    }

    fn list(&mut self, depth: usize) -> Result<Value, YamlError> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd | Event::StreamEnd, _) => return Ok(Value::Array(items)),
                (event, span) => match self.node(event, span, depth + 1)?.data {
                    Data::Value(value) => items.push(value),
                    Data::Mapping(_) => return Err(error_at(span, "a list contains numbers or words, not keys")),
                },
            }
        }
    }

    fn mapping(&mut self, depth: usize) -> Result<Vec<(String, usize, Node)>, YamlError> {
        let mut entries = Vec::new();
        let mut lines = HashMap::new();
        loop {
            let (event, span) = self.next()?;
            let key = match event {
                Event::MappingEnd | Event::StreamEnd => return Ok(entries),
                Event::Scalar(text, ..) => text.into_owned(),
                _ => return Err(error_at(span, "a key must be a word")),
            };
            let line = span.start.line();
            if let Some(first) = lines.insert(key.clone(), line) {
                return Err(error_at(span, &format!("`{key}` is given twice: first on line {first}")));
            }
            let (event, span) = self.next()?;
            entries.push((key, line, self.node(event, span, depth + 1)?));
        }
    }
}

/// A scalar of YAML 1.2's core schema. Whole numbers up to `u64::MAX` stay whole; a number that is not finite becomes
/// its text.
fn scalar(text: Cow<'_, str>, style: ScalarStyle) -> Value {
    if style == ScalarStyle::Plain {
        if let Ok(number) = text.parse::<u64>() {
            return number.into();
        }
        if text.is_empty() {
            return Value::Null;
        }
        let as_written = text.clone().into_owned();
        return match Scalar::parse_from_cow(text) {
            Scalar::Null => Value::Null,
            Scalar::Boolean(truth) => truth.into(),
            Scalar::Integer(number) => number.into(),
            Scalar::FloatingPoint(number) => Number::from_f64(number.0).map_or(as_written.into(), Value::Number),
            Scalar::String(text) => text.into(),
        };
    }
    text.into()
}

fn error_at(span: Span, problem: &str) -> YamlError {
    YamlError { line: span.start.line(), problem: problem.to_owned() }
}

fn syntax(error: &ScanError) -> YamlError {
    YamlError { line: error.marker().line(), problem: format!("this is not YAML: {}", error.info()) }
}

/// Groups, keys and lists are three levels. The fourth allows a more specific error message.
const MAX_DEPTH: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> Value {
        match parse(text).unwrap().unwrap().data {
            Data::Value(value) => value,
            Data::Mapping(entries) => panic!("{entries:?}"),
        }
    }

    #[test]
    fn scalars_follow_yamls_core_schema() {
        assert_eq!(value("18446744073709551615"), u64::MAX);
        assert_eq!(value("-3"), -3);
        assert_eq!(value("3e-4"), 3e-4);
        assert_eq!(value("true"), true);
        assert_eq!(value("'1'"), "1");
        assert_eq!([".nan", "-.inf", "1e999"].map(value), [".nan", "-.inf", "1e999"]);
        assert_eq!(value("1_000"), "1_000");
        assert_eq!(value("[8, 9]"), serde_json::json!([8, 9]));
    }

    #[test]
    fn lines_are_counted_from_one() {
        let Data::Mapping(groups) = parse("# a\ntd3:\n  tau: 1\n").unwrap().unwrap().data else { panic!() };
        let Data::Mapping(keys) = &groups[0].2.data else { panic!() };
        assert_eq!((groups[0].1, keys[0].1, keys[0].2.line), (2, 3, 3));
    }

    #[test]
    fn unsupported_yaml_is_refused_with_its_line() {
        for (text, line, word) in [
            ("a: 1\nb: 2\na: 3", 3, "twice"),
            ("a: &x 1\nb: *x", 2, "alias"),
            ("a: 1\n---\nb: 2", 3, "second document"),
            ("a: [1, 2", 2, "not YAML"),
            ("a: !!str 1", 1, "tag"),
            ("? [1]\n: 2", 1, "key must be a word"),
            ("a: [{b: 1}]", 1, "list"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.problem.contains(word), "{text:?}: {error:?}");
            assert_eq!(error.line, line, "{text:?}: {error:?}");
        }
        assert!(parse(&"[".repeat(100_000)).is_err());
    }

    proptest::proptest! {
        #![proptest_config(crate::properties::config())]

        #[test]
        fn parse_never_panics(text in "[-?:,\\[\\]{}#&*!|>'\"%@` \t\n.~a0]{0,40}") {
            let _ = parse(&text);
        }
    }
}

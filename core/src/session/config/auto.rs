//! A whole number that may be left open.

use core::fmt;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A whole number, or `auto`: the program or the world determines the value.
///
/// It is serialized as the string `auto` or as the number.
///
/// ```
/// use recsim_core::session::config::Auto;
/// assert_eq!(Auto::Auto.unwrap_or(69), 69);
/// assert_eq!(Auto::Given(70).unwrap_or(69), 70);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Auto {
    /// Determined by the program or the world.
    #[default]
    Auto,
    /// The given number.
    Given(u32),
}

impl Auto {
    /// The given number, or `default`.
    pub fn unwrap_or(self, default: u32) -> u32 {
        match self {
            Self::Auto => default,
            Self::Given(number) => number,
        }
    }
}

impl fmt::Display for Auto {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Given(number) => number.fmt(f),
        }
    }
}

impl Serialize for Auto {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Auto => serializer.serialize_str("auto"),
            Self::Given(number) => serializer.serialize_u32(*number),
        }
    }
}

impl<'de> Deserialize<'de> for Auto {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AutoVisitor)
    }
}

struct AutoVisitor;

impl Visitor<'_> for AutoVisitor {
    type Value = Auto;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("`auto` or a whole number from 0 to 4294967295")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Auto, E> {
        if text == "auto" { Ok(Auto::Auto) } else { Err(E::invalid_value(de::Unexpected::Str(text), &self)) }
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Auto, E> {
        u32::try_from(number)
            .map(Auto::Given)
            .map_err(|_| E::invalid_value(de::Unexpected::Unsigned(number), &self))
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Auto, E> {
        u32::try_from(number).map(Auto::Given).map_err(|_| E::invalid_value(de::Unexpected::Signed(number), &self))
    }
}

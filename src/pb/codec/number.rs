//! Numbers: int32 in all its spellings, enums by name or number, and how a double is written.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, Error, Unexpected, Visitor};
use serde::ser::{Serialize, Serializer};

use super::{Json, excerpt};

/// The names of an enum; generated.
pub(in crate::pb) trait Names {
    /// The enum's name, for errors.
    const TYPE: &'static str;

    /// The number of a value's proto name.
    fn number(name: &str) -> Option<i32>;

    /// The proto name of a number, if this version of the protocol knows it.
    fn name(number: i32) -> Option<&'static str>;
}

/// A field of enum type `N`. Numbers that are not known are kept: a newer peer may know them.
pub(in crate::pb) struct Enum<N> {
    number: i32,
    names: PhantomData<N>,
}

impl<N> Enum<N> {
    pub(in crate::pb) fn new(number: i32) -> Self {
        Self {
            number,
            names: PhantomData,
        }
    }

    pub(in crate::pb) fn number(&self) -> i32 {
        self.number
    }
}

impl<N: Names> Serialize for Enum<N> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match N::name(self.number) {
            Some(name) => serializer.serialize_str(name),
            None => serializer.serialize_i32(self.number),
        }
    }
}

impl<'de, N: Names> Deserialize<'de> for Enum<N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(EnumVisitor(PhantomData))
    }
}

struct EnumVisitor<N>(PhantomData<N>);

impl<N: Names> Visitor<'_> for EnumVisitor<N> {
    type Value = Enum<N>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the name or number of a {}", N::TYPE)
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Self::Value, E> {
        let number = N::number(name)
            .ok_or_else(|| E::custom(format_args!("{} is not the name of a {}", excerpt(name), N::TYPE)))?;
        Ok(Enum::new(number))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Self::Value, E> {
        Int32Visitor.visit_i64(value).map(Enum::new)
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Self::Value, E> {
        Int32Visitor.visit_u64(value).map(Enum::new)
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Self::Value, E> {
        Int32Visitor.visit_f64(value).map(Enum::new)
    }
}

impl<'de> Deserialize<'de> for Json<i32> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Int32Visitor).map(Json)
    }
}

struct Int32Visitor;

impl Visitor<'_> for Int32Visitor {
    type Value = i32;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a whole number from -2147483648 to 2147483647")
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<i32, E> {
        i32::try_from(value).map_err(|_| E::invalid_value(Unexpected::Signed(value), &self))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<i32, E> {
        i32::try_from(value).map_err(|_| E::invalid_value(Unexpected::Unsigned(value), &self))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<i32, E> {
        let whole = value.trunc() == value && value >= f64::from(i32::MIN) && value <= f64::from(i32::MAX);
        // The range was just checked, so the cast is exact.
        if whole {
            Ok(value as i32)
        } else {
            Err(E::invalid_value(Unexpected::Float(value), &self))
        }
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<i32, E> {
        // JSON's own grammar of numbers; blanks around one are JSON's too, so they are looked for first.
        let tight = text.bytes().all(|byte| !byte.is_ascii_whitespace());
        match serde_json::from_str::<f64>(text) {
            Ok(value) if tight => self.visit_f64(value),
            _ => Err(E::custom(format_args!("{} is not a number", excerpt(text)))),
        }
    }
}

/// Writes a double so that whole numbers look whole: `1`, not `1.0`.
///
/// From 2^53 on a double is no longer every integer, and the shortest form that reads back the same is written; -0
/// keeps its sign. NaN and infinity have no JSON form.
pub(super) fn serialize_double<S: Serializer>(value: f64, serializer: S) -> Result<S::Ok, S::Error> {
    const WHOLE_MAX: f64 = 9_007_199_254_740_992.0;
    if !value.is_finite() {
        return Err(serde::ser::Error::custom(
            "NaN and infinity cannot be written as JSON",
        ));
    }
    let whole =
        value.trunc() == value && value.abs() <= WHOLE_MAX && !(value == 0.0 && value.is_sign_negative());
    if whole {
        serializer.serialize_i64(value as i64)
    } else {
        serializer.serialize_f64(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn int32(json: &str) -> Option<i32> {
        serde_json::from_str::<Json<i32>>(json).ok().map(|value| value.0)
    }

    #[test]
    fn int32_takes_every_spelling_of_a_whole_number() {
        for (json, value) in [
            ("10", 10),
            ("10.0", 10),
            ("1e1", 10),
            ("\"10\"", 10),
            ("\"1e1\"", 10),
            ("\"10.0\"", 10),
            ("-0", 0),
            ("-2147483648", i32::MIN),
            ("2147483647", i32::MAX),
        ] {
            assert_eq!(int32(json), Some(value), "{json}");
        }
    }

    #[test]
    fn int32_refuses_what_is_no_whole_number_in_range() {
        for json in [
            "1.5",
            "2147483648",
            "-2147483649",
            "1e10",
            "\"\"",
            "\" 1\"",
            "\"1 \"",
            "\"+1\"",
            "\"0x1\"",
            "\"01\"",
            "true",
        ] {
            assert_eq!(int32(json), None, "{json}");
        }
    }

    #[test]
    fn doubles_are_written_in_their_plainest_form() {
        struct Double(f64);
        impl Serialize for Double {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serialize_double(self.0, serializer)
            }
        }
        for (value, text) in [
            (1.0, "1"),
            (-3.0, "-3"),
            (0.0, "0"),
            (-0.0, "-0.0"),
            (0.5, "0.5"),
            (9_007_199_254_740_991.0, "9007199254740991"),
            (9_007_199_254_740_992.0, "9007199254740992"),
            (-9_007_199_254_740_992.0, "-9007199254740992"),
        ] {
            assert_eq!(serde_json::to_string(&Double(value)).unwrap(), text);
        }
        for value in [
            9_007_199_254_740_994.0,
            1e300,
            -1.5e-300,
            f64::MAX,
            f64::MIN_POSITIVE,
        ] {
            let text = serde_json::to_string(&Double(value)).unwrap();
            assert_eq!(text.parse::<f64>().unwrap(), value, "{text}");
        }
        assert!(serde_json::to_string(&Double(f64::NAN)).is_err());
        assert!(serde_json::to_string(&Double(f64::INFINITY)).is_err());
    }
}

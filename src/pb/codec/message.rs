//! Reading any message: the loop over its fields.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};

use super::field::refuse;

/// A message as a table of fields; generated.
pub(in crate::pb) trait Fields: Default {
    /// The message's name, for errors.
    const TYPE: &'static str;

    /// The position of a field, by either of its two names.
    fn index(name: &str) -> Option<u8>;

    /// Reads the value of the field at `index` into the message.
    fn read<'de, A: MapAccess<'de>>(&mut self, index: u8, map: &mut A) -> Result<(), A::Error>;
}

/// Reads a message from a JSON object.
pub(in crate::pb) fn message<'de, M: Fields, D: Deserializer<'de>>(deserializer: D) -> Result<M, D::Error> {
    deserializer.deserialize_map(MessageVisitor(PhantomData))
}

struct MessageVisitor<M>(PhantomData<M>);

impl<'de, M: Fields> Visitor<'de> for MessageVisitor<M> {
    type Value = M;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an object ({})", M::TYPE)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<M, A::Error> {
        let mut message = M::default();
        // One bit per field; the generator refuses messages with more than 32.
        let mut seen = 0_u32;
        while let Some(index) = map.next_key_seed(FieldName::<M>(PhantomData))? {
            let Some(index) = index else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            if seen & (1 << index) != 0 {
                return refuse(&mut map, "the field is given twice, or in both of its spellings");
            }
            seen |= 1 << index;
            message.read(index, &mut map)?;
        }
        Ok(message)
    }
}

struct FieldName<M>(PhantomData<M>);

impl<'de, M: Fields> DeserializeSeed<'de> for FieldName<M> {
    type Value = Option<u8>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_identifier(self)
    }
}

impl<M: Fields> Visitor<'_> for FieldName<M> {
    type Value = Option<u8>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a field name")
    }

    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        Ok(M::index(name))
    }
}

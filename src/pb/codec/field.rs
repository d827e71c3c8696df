//! Reading one field: a function per shape.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor,
};

use super::{AHEAD_MAX, Enum, Fields, Json};

/// Something that reads JSON, and the prost type that comes of it.
pub(in crate::pb) trait Reader<'de>: Deserialize<'de> {
    type Out;

    fn out(self) -> Self::Out;
}

impl Reader<'_> for String {
    type Out = Self;

    fn out(self) -> Self {
        self
    }
}

impl Reader<'_> for bool {
    type Out = Self;

    fn out(self) -> Self {
        self
    }
}

impl<'de, T> Reader<'de> for Json<T>
where
    Self: Deserialize<'de>,
{
    type Out = T;

    fn out(self) -> T {
        self.0
    }
}

impl<'de, N> Reader<'de> for Enum<N>
where
    Self: Deserialize<'de>,
{
    type Out = i32;

    fn out(self) -> i32 {
        self.number()
    }
}

impl<'de, M: Fields + Deserialize<'de>> Reader<'de> for M {
    type Out = M;

    fn out(self) -> M {
        self
    }
}

/// One value; null leaves the default.
pub(in crate::pb) fn plain<'de, R: Reader<'de>, A: MapAccess<'de>>(
    slot: &mut R::Out,
    map: &mut A,
) -> Result<(), A::Error> {
    if let Some(value) = map.next_value::<Option<R>>()? {
        *slot = value.out();
    }
    Ok(())
}

/// One value; null leaves it absent.
pub(in crate::pb) fn optional<'de, R: Reader<'de>, A: MapAccess<'de>>(
    slot: &mut Option<R::Out>,
    map: &mut A,
) -> Result<(), A::Error> {
    *slot = map.next_value::<Option<R>>()?.map(R::out);
    Ok(())
}

/// An array; null leaves it empty.
pub(in crate::pb) fn list<'de, R: Reader<'de>, A: MapAccess<'de>>(
    slot: &mut Vec<R::Out>,
    map: &mut A,
) -> Result<(), A::Error> {
    if let Some(list) = map.next_value::<Option<List<R, R::Out>>>()? {
        *slot = list.items;
    }
    Ok(())
}

/// An object with names of the sender's choice; null leaves it empty.
pub(in crate::pb) fn table<'de, R: Reader<'de>, A: MapAccess<'de>>(
    slot: &mut BTreeMap<String, R::Out>,
    map: &mut A,
) -> Result<(), A::Error> {
    if let Some(table) = map.next_value::<Option<Table<R, R::Out>>>()? {
        *slot = table.entries;
    }
    Ok(())
}

/// A member of a oneof; null leaves the oneof as it is.
pub(in crate::pb) fn member<'de, R: Reader<'de>, O, A: MapAccess<'de>>(
    slot: &mut Option<O>,
    map: &mut A,
    wrap: fn(R::Out) -> O,
) -> Result<(), A::Error> {
    let seed = Member {
        taken: slot.is_some(),
        reader: PhantomData::<R>,
    };
    if let Some(value) = map.next_value_seed(seed)? {
        *slot = Some(wrap(value.out()));
    }
    Ok(())
}

/// A member of a oneof for which null is a value like any other.
pub(in crate::pb) fn member_or_null<'de, R: Reader<'de>, O, A: MapAccess<'de>>(
    slot: &mut Option<O>,
    map: &mut A,
    wrap: fn(R::Out) -> O,
) -> Result<(), A::Error> {
    if slot.is_some() {
        return refuse(map, SECOND_MEMBER);
    }
    *slot = Some(wrap(map.next_value::<R>()?.out()));
    Ok(())
}

/// Reads past a value.
pub(in crate::pb) fn skip<'de, A: MapAccess<'de>>(map: &mut A) -> Result<(), A::Error> {
    map.next_value::<IgnoredAny>().map(drop)
}

/// Fails at the value that comes next, so that the error's path ends in its name.
pub(super) fn refuse<'de, T, A: MapAccess<'de>>(map: &mut A, reason: &'static str) -> Result<T, A::Error> {
    struct Refusal<T>(&'static str, PhantomData<T>);

    impl<'de, T> DeserializeSeed<'de> for Refusal<T> {
        type Value = T;

        fn deserialize<D: Deserializer<'de>>(self, _: D) -> Result<T, D::Error> {
            Err(D::Error::custom(self.0))
        }
    }

    map.next_value_seed(Refusal(reason, PhantomData))
}

const SECOND_MEMBER: &str = "cannot be set together with another field that is set already";

struct Member<R> {
    taken: bool,
    reader: PhantomData<R>,
}

impl<'de, R: Reader<'de>> DeserializeSeed<'de> for Member<R> {
    type Value = Option<R>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Option<R>, D::Error> {
        let value = Option::<R>::deserialize(deserializer)?;
        if self.taken && value.is_some() {
            return Err(D::Error::custom(SECOND_MEMBER));
        }
        Ok(value)
    }
}

struct List<R, T> {
    items: Vec<T>,
    reader: PhantomData<R>,
}

impl<'de, R: Reader<'de>> Deserialize<'de> for List<R, R::Out> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let items = deserializer.deserialize_seq(ListVisitor::<R>(PhantomData))?;
        Ok(Self {
            items,
            reader: PhantomData,
        })
    }
}

struct ListVisitor<R>(PhantomData<R>);

impl<'de, R: Reader<'de>> Visitor<'de> for ListVisitor<R> {
    type Value = Vec<R::Out>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut items = Vec::with_capacity(seq.size_hint().unwrap_or(0).min(AHEAD_MAX));
        while let Some(item) = seq.next_element::<R>()? {
            items.push(item.out());
        }
        Ok(items)
    }
}

struct Table<R, T> {
    entries: BTreeMap<String, T>,
    reader: PhantomData<R>,
}

impl<'de, R: Reader<'de>> Deserialize<'de> for Table<R, R::Out> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let entries = deserializer.deserialize_map(TableVisitor::<R>(PhantomData))?;
        Ok(Self {
            entries,
            reader: PhantomData,
        })
    }
}

struct TableVisitor<R>(PhantomData<R>);

impl<'de, R: Reader<'de>> Visitor<'de> for TableVisitor<R> {
    type Value = BTreeMap<String, R::Out>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        entries::<R, A>(map)
    }
}

/// Reads all entries of an object; a key given twice is refused.
pub(super) fn entries<'de, R: Reader<'de>, A: MapAccess<'de>>(
    mut map: A,
) -> Result<BTreeMap<String, R::Out>, A::Error> {
    let mut entries = BTreeMap::new();
    while let Some(key) = map.next_key::<String>()? {
        if entries.contains_key(&key) {
            return refuse(&mut map, "the key is given twice");
        }
        entries.insert(key, map.next_value::<R>()?.out());
    }
    Ok(entries)
}

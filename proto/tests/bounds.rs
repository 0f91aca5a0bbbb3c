//! Every bound of every field of every request, exactly met and one past, generated from the
//! descriptor: what is met is taken, what is past is refused by the field's name.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use ocmt_proto::{
    DESCRIPTOR, bounds,
    methods::{self, Method},
    v1::{FieldBounds, Format},
};
use prost::Message as _;
use protox::prost_reflect::{
    DescriptorPool, DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, Value,
};

/// The bounds of a field, read from the descriptor and not from the tables under test.
fn bounds_of(field: &FieldDescriptor) -> FieldBounds {
    let extension = field.parent_pool().get_extension_by_name("ocmt.v1.bounds").unwrap();
    let value = field.options().get_extension(&extension).into_owned();
    value.as_message().unwrap().transcode_to().unwrap()
}

fn text(format: Format, len: usize) -> String {
    match format {
        Format::Uuid => "018f4e2a-9c3d-4a1b-8e5f-0123456789ab".to_owned(),
        Format::Email => {
            let end = len - 3;
            let domain: String =
                (0..=end).map(|at| if at % 60 == 59 && at < end { '.' } else { 'b' }).collect();
            format!("a@{domain}")
        }
        Format::Url => format!("https://a/{}", "b".repeat(len - 10)),
        _ => "a".repeat(len),
    }
}

/// A length that the bounds take.
fn fitting(bounds: &FieldBounds) -> usize {
    let least = if bounds.format() == Format::Email {
        3
    } else if bounds.format() == Format::Url {
        10
    } else {
        1
    };
    bounds.len.unwrap_or(bounds.min_len.max(least)) as usize
}

fn sized(kind: &Kind, format: Format, len: usize) -> Value {
    if matches!(kind, Kind::Bytes) {
        Value::Bytes(vec![7; len].into())
    } else {
        Value::String(text(format, len))
    }
}

fn number(kind: &Kind, value: i128) -> Option<Value> {
    Some(match kind {
        Kind::Int32 => Value::I32(value.try_into().ok()?),
        Kind::Int64 => Value::I64(value.try_into().ok()?),
        Kind::Uint32 => Value::U32(value.try_into().ok()?),
        Kind::Uint64 => Value::U64(value.try_into().ok()?),
        _ => return None,
    })
}

fn duration(field: &FieldDescriptor, nanos: i128) -> Value {
    let Kind::Message(kind) = field.kind() else { panic!() };
    let mut message = DynamicMessage::new(kind);
    message.set_field_by_name("seconds", Value::I64((nanos / 1_000_000_000).try_into().unwrap()));
    message.set_field_by_name("nanos", Value::I32((nanos % 1_000_000_000).try_into().unwrap()));
    Value::Message(message)
}

fn mask(field: &FieldDescriptor, paths: &[String]) -> Value {
    let Kind::Message(kind) = field.kind() else { panic!() };
    let mut message = DynamicMessage::new(kind);
    let paths = paths.iter().map(|path| Value::String(path.clone())).collect();
    message.set_field_by_name("paths", Value::List(paths));
    Value::Message(message)
}

/// One value (or element) that is within the bounds.
fn fine(field: &FieldDescriptor) -> Value {
    let bounds = bounds_of(field);
    match field.kind() {
        Kind::String | Kind::Bytes => sized(&field.kind(), bounds.format(), fitting(&bounds)),
        Kind::Bool => Value::Bool(true),
        Kind::Enum(_) => Value::EnumNumber(1),
        Kind::Message(kind) => match kind.full_name() {
            "google.protobuf.Duration" => duration(field, i128::from(bounds.min.unwrap_or(1)) * 1_000_000),
            "google.protobuf.FieldMask" => mask(field, &["a.b_c".to_owned()]),
            "google.protobuf.Timestamp" => Value::Message(DynamicMessage::new(kind)),
            _ => Value::Message(valid(&kind)),
        },
        kind => number(&kind, i128::from(bounds.min.unwrap_or(1).max(1))).unwrap(),
    }
}

/// The smallest message that is within its bounds.
fn valid(kind: &MessageDescriptor) -> DynamicMessage {
    let mut message = DynamicMessage::new(kind.clone());
    for field in kind.fields() {
        let bounds = bounds_of(&field);
        if field.is_list() && bounds.min_items > 0 {
            message.set_field(&field, Value::List(vec![fine(&field); bounds.min_items as usize]));
        } else if bounds.required {
            message.set_field(&field, fine(&field));
        }
    }
    message
}

/// Values of a field with whether each is within the bounds. Of a list: whole lists.
fn cases(field: &FieldDescriptor) -> Vec<(Value, bool)> {
    let bounds = bounds_of(field);
    let mut cases = elements(field, &bounds);
    if !field.is_list() {
        return cases;
    }
    let least = bounds.min_items.max(1) as usize;
    let around = |value: Value| {
        let mut list = vec![fine(field); least];
        list[least - 1] = value;
        Value::List(list)
    };
    cases = cases.into_iter().map(|(value, taken)| (around(value), taken)).collect();
    let list = |count: u32| Value::List(vec![fine(field); count as usize]);
    cases.push((list(bounds.max_items), true));
    cases.push((list(bounds.max_items + 1), false));
    if bounds.min_items > 0 {
        cases.push((list(bounds.min_items), true));
        cases.push((list(bounds.min_items - 1), false));
    }
    cases
}

fn elements(field: &FieldDescriptor, bounds: &FieldBounds) -> Vec<(Value, bool)> {
    let kind = field.kind();
    match &kind {
        Kind::String | Kind::Bytes => lengths(field, bounds),
        Kind::Enum(known) => {
            let mut cases: Vec<_> =
                known.values().map(|value| value.number()).map(|value| (value, value != 0)).collect();
            cases[0].1 = !bounds.required && !field.is_list();
            cases.extend([(9999, false), (-1, false)]);
            cases.into_iter().map(|(value, taken)| (Value::EnumNumber(value), taken)).collect()
        }
        Kind::Message(inner) if inner.full_name() == "google.protobuf.Duration" => {
            let at = |ms: i64| i128::from(ms) * 1_000_000;
            let mut cases = vec![];
            if let Some(max) = bounds.max {
                cases.extend([(duration(field, at(max)), true), (duration(field, at(max) + 1), false)]);
            }
            if let Some(min) = bounds.min {
                cases.extend([(duration(field, at(min)), true), (duration(field, at(min) - 1), false)]);
            }
            cases
        }
        Kind::Message(inner) if inner.full_name() == "google.protobuf.FieldMask" => {
            let paths = |count: usize, len: usize| mask(field, &vec!["a".repeat(len); count]);
            vec![
                (paths(64, 1), true),
                (paths(65, 1), false),
                (paths(1, 128), true),
                (paths(1, 129), false),
                (paths(0, 0), false),
            ]
        }
        Kind::Message(_) | Kind::Bool => vec![(fine(field), true)],
        _ => {
            let largest = match kind {
                Kind::Uint64 | Kind::Int64 => i64::MAX,
                Kind::Uint32 => u32::MAX.into(),
                _ => i32::MAX.into(),
            };
            let max = i128::from(bounds.max.unwrap_or(largest));
            let mut cases = vec![(max, true), (max + 1, false)];
            // zero is "not said" where presence is not tracked
            let says_zero = field.supports_presence() || field.is_list();
            if let Some(min) = bounds.min {
                cases.push((min.into(), true));
                cases.push((i128::from(min) - 1, min - 1 == 0 && !says_zero && !bounds.required));
            }
            cases.into_iter().filter_map(|(value, taken)| Some((number(&kind, value)?, taken))).collect()
        }
    }
}

fn lengths(field: &FieldDescriptor, bounds: &FieldBounds) -> Vec<(Value, bool)> {
    let kind = field.kind();
    let format = bounds.format();
    let of = |len: u32| sized(&kind, format, len as usize);
    let mut cases = vec![(fine(field), true)];
    if let Some(len) = bounds.len {
        cases.extend([(of(len), true), (of(len + 1), false), (of(len - 1), false)]);
    }
    if bounds.max_len > 0 {
        cases.extend([(of(bounds.max_len), true), (of(bounds.max_len + 1), false)]);
    }
    if bounds.min_len > 1 {
        cases.extend([(of(bounds.min_len), true), (of(bounds.min_len - 1), false)]);
    }
    let says_empty = field.supports_presence() || field.is_list();
    if says_empty && (bounds.min_len > 0 || bounds.len.is_some()) {
        let empty = if matches!(kind, Kind::Bytes) {
            Value::Bytes(Default::default())
        } else {
            Value::String(String::new())
        };
        cases.push((empty, false));
    }
    let bad: &[&str] = match format {
        Format::Unspecified => &[],
        Format::Uuid => {
            &["018F4E2A-9C3D-4A1B-8E5F-0123456789AB", "{018f4e2a-9c3d-4a1b-8e5f-0123456789a}", "x"]
        }
        Format::Email => &["a", "a@b@c", "a b@c", "a@b\n"],
        Format::Line => &["a\nb", " a", "a\u{202e}b"],
        Format::Name => &["A", "a b", ".a", "ä"],
        Format::Token => &["a b", "ä", "a\n"],
        Format::Url => &["ftp://a/", "http://a.example/", "https://a b/"],
    };
    cases.extend(bad.iter().map(|text| (Value::String((*text).to_owned()), false)));
    cases
}

/// The request with `inner` at the end of this path of message fields.
fn at_path(root: &MessageDescriptor, path: &[FieldDescriptor], inner: DynamicMessage) -> DynamicMessage {
    let Some((field, rest)) = path.split_first() else { return inner };
    let Kind::Message(kind) = field.kind() else { panic!() };
    let value = Value::Message(at_path(&kind, rest, inner));
    let mut message = valid(root);
    if field.is_list() {
        let mut list = vec![fine(field); bounds_of(field).min_items.max(1) as usize];
        list[0] = value;
        message.set_field(field, Value::List(list));
    } else {
        message.set_field(field, value);
    }
    message
}

/// Walks every field of a request, nested ones too.
fn walk(
    kind: &MessageDescriptor,
    path: &mut Vec<FieldDescriptor>,
    each: &mut dyn FnMut(&[FieldDescriptor], &FieldDescriptor),
) {
    for field in kind.fields() {
        each(path, &field);
        if let Kind::Message(inner) = field.kind()
            && inner.package_name().starts_with("ocmt.")
        {
            path.push(field);
            walk(&inner, path, each);
            path.pop();
        }
    }
}

fn each_field(mut each: impl FnMut(&Method, &MessageDescriptor, &[FieldDescriptor], &FieldDescriptor)) {
    let pool = DescriptorPool::decode(DESCRIPTOR).unwrap();
    for method in methods::all() {
        let request = pool.get_message_by_name(method.request).unwrap();
        walk(&request, &mut Vec::new(), &mut |path, field| each(method, &request, path, field));
    }
}

/// Name of the field in violations: its path with the indices left out.
fn named(path: &[FieldDescriptor], field: &FieldDescriptor) -> String {
    path.iter().chain([field]).map(|each| each.name().to_owned()).collect::<Vec<_>>().join(".")
}

fn without_indices(path: &str) -> String {
    path.split('.').map(|part| part.split('[').next().unwrap()).collect::<Vec<_>>().join(".")
}

#[track_caller]
fn refused(method: &Method, encoded: &[u8], name: &str, what: &str) {
    let violations =
        bounds::check(method.path, encoded).expect_err(&format!("{} {name}: {what} was taken", method.path));
    let right = violations.iter().all(|violation| without_indices(&violation.field) == name);
    assert!(right, "{} {name}: {violations:?}", method.path);
}

#[test]
fn each_bound_is_taken_and_one_more_is_refused() {
    let (mut taken, mut refusals) = (0, 0);
    each_field(|method, request, path, field| {
        for (value, fits) in cases(field) {
            let mut inner = valid(&field.parent_message().clone());
            inner.set_field(field, value);
            let message = at_path(request, path, inner).encode_to_vec();
            if fits {
                taken += 1;
                let outcome = bounds::check(method.path, &message);
                assert_eq!(outcome, Ok(()), "{} {}", method.path, named(path, field));
            } else {
                refusals += 1;
                refused(method, &message, &named(path, field), "one past the bound");
            }
        }
    });
    assert!(taken > 1000 && refusals > 1000, "only {taken} and {refusals} cases");
}

#[test]
fn a_required_field_left_out_is_refused() {
    let mut count = 0;
    each_field(|method, request, path, field| {
        if !bounds_of(field).required {
            return;
        }
        count += 1;
        let mut inner = valid(field.parent_message());
        inner.clear_field(field);
        refused(
            method,
            &at_path(request, path, inner).encode_to_vec(),
            &named(path, field),
            "a missing field",
        );
    });
    assert!(count > 300, "only {count} fields");
}

/// prost keeps the last value of a scalar and merges messages: 100 elements and 100 more would pass a
/// bound of 100, and an empty second value would undo a required field.
#[test]
fn a_singular_field_given_twice_is_refused() {
    let mut count = 0;
    each_field(|method, request, path, field| {
        if !path.is_empty() || field.is_list() {
            return;
        }
        count += 1;
        let mut once = valid(request);
        once.set_field(field, fine(field));
        let mut again = DynamicMessage::new(request.clone());
        again.set_field(field, fine(field));
        let twice = [once.encode_to_vec(), again.encode_to_vec()].concat();
        refused(method, &twice, field.name(), "a second value");
    });
    assert!(count > 300, "only {count} fields");
}

#[test]
fn t2_unknown_fields_are_ignored() {
    let pool = DescriptorPool::decode(DESCRIPTOR).unwrap();
    for method in methods::all() {
        let request = pool.get_message_by_name(method.request).unwrap();
        let mut encoded = valid(&request).encode_to_vec();
        // field 500 as a varint, a string, a 32-bit and a 64-bit number
        encoded.extend([
            0xa0, 0x1f, 1, 0xa2, 0x1f, 2, 9, 9, 0xa5, 0x1f, 1, 2, 3, 4, 0xa1, 0x1f, 1, 2, 3, 4, 5, 6, 7, 8,
        ]);
        assert_eq!(bounds::check(method.path, &encoded), Ok(()), "{}", method.path);
    }
}

#[test]
fn every_cut_of_a_request_is_refused_or_taken_without_a_panic() {
    let pool = DescriptorPool::decode(DESCRIPTOR).unwrap();
    for method in methods::all() {
        let encoded = valid(&pool.get_message_by_name(method.request).unwrap()).encode_to_vec();
        for end in 0..encoded.len().min(600) {
            let _ = bounds::check(method.path, &encoded[..end]);
        }
    }
}

#[test]
fn violations_are_bounded_in_number() {
    let pool = DescriptorPool::decode(DESCRIPTOR).unwrap();
    let request = pool.get_message_by_name("ocmt.v1.BatchGetEntriesRequest").unwrap();
    let mut message = valid(&request);
    message.set_field_by_name("object_ids", Value::List(vec![Value::Bytes(vec![1].into()); 48]));
    let violations =
        bounds::check("/ocmt.v1.VaultService/BatchGetEntries", &message.encode_to_vec()).unwrap_err();
    assert_eq!(violations.len(), bounds::MAX_VIOLATIONS);
    assert_eq!(violations[3].field, "object_ids[3]");
}

#[test]
fn a_violation_does_not_show_the_value() {
    let message =
        ocmt_proto::v1::ExchangeMagicLinkRequest { token: "mark mark".to_owned(), ..Default::default() };
    let violations = bounds::check_message(&message).unwrap_err();
    assert!(violations.iter().any(|violation| violation.field == "token"), "{violations:?}");
    assert!(!format!("{violations:?}").contains("mark"), "{violations:?}");
}

#[test]
fn an_unknown_method_is_refused() {
    assert!(bounds::check("/ocmt.v1.AuthService/Nothing", &[]).is_err());
}

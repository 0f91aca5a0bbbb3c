//! Turns the `bounds` options into static tables: every message that a request can hold, its fields
//! and what they take; and the list of methods. No descriptor is parsed at run time.

use std::{
    collections::{BTreeMap, BTreeSet},
    error::Error,
    fmt::Write as _,
};

use protox::prost_reflect::{
    DescriptorPool, DynamicMessage, ExtensionDescriptor, FieldDescriptor, Kind, MessageDescriptor, Value,
};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// The Rust text of `MESSAGES` and `METHODS`, both sorted by name.
pub(crate) fn generate(pool: &DescriptorPool) -> Result<String> {
    let bounds = pool.get_extension_by_name("ocmt.v1.bounds").ok_or("no extension ocmt.v1.bounds")?;
    let mut requests = BTreeSet::new();
    let mut methods = BTreeMap::new();
    for service in pool.services() {
        for method in service.methods() {
            requests.insert(method.input().full_name().to_owned());
            let row = format!(
                "Method {{ path: \"/{}/{}\", service: {:?}, name: {:?}, request: {:?}, response: {:?}, \
                 client_streaming: {}, server_streaming: {} }},\n",
                service.full_name(),
                method.name(),
                service.full_name(),
                method.name(),
                method.input().full_name(),
                method.output().full_name(),
                method.is_client_streaming(),
                method.is_server_streaming()
            );
            methods.insert(format!("{}/{}", service.full_name(), method.name()), row);
        }
    }

    let reachable = reachable(pool, &requests);
    let index: BTreeMap<&str, usize> =
        reachable.keys().enumerate().map(|(at, name)| (name.as_str(), at)).collect();
    let mut text = format!("pub(crate) static MESSAGES: [Message; {}] = [\n", reachable.len());
    for (name, message) in &reachable {
        let mut fields: Vec<_> = message.fields().collect();
        fields.sort_by_key(FieldDescriptor::number);
        if fields.len() > MAX_FIELDS {
            return Err(
                format!("{name} has more than {MAX_FIELDS} fields: raise rules::MAX_FIELDS too").into()
            );
        }
        let request = requests.contains(name);
        writeln!(text, "Message {{ name: {name:?}, request: {request}, fields: &[")?;
        for field in fields {
            text.push_str(&row(&field, &bounds, &index)?);
        }
        text.push_str("] },\n");
    }
    write!(text, "];\npub(crate) static METHODS: [Method; {}] = [\n", methods.len())?;
    text.extend(methods.into_values());
    text.push_str("];\n");
    Ok(text)
}

/// The same number as `rules::MAX_FIELDS`, which sizes an array on the stack.
const MAX_FIELDS: usize = 24;

/// Messages of ours that a request can hold, by full name.
fn reachable(pool: &DescriptorPool, requests: &BTreeSet<String>) -> BTreeMap<String, MessageDescriptor> {
    let mut found = BTreeMap::new();
    let mut open: Vec<_> = requests.iter().filter_map(|name| pool.get_message_by_name(name)).collect();
    while let Some(message) = open.pop() {
        for field in message.fields() {
            if let Kind::Message(inner) = field.kind()
                && inner.package_name().starts_with("ocmt.")
                && !found.contains_key(inner.full_name())
            {
                open.push(inner);
            }
        }
        found.insert(message.full_name().to_owned(), message);
    }
    found
}

fn row(
    field: &FieldDescriptor,
    bounds: &ExtensionDescriptor,
    index: &BTreeMap<&str, usize>,
) -> Result<String> {
    let kind = match field.kind() {
        Kind::Bool => "Bool".to_owned(),
        Kind::Int32 => "Int32".to_owned(),
        Kind::Int64 => "Int64".to_owned(),
        Kind::Uint32 => "Uint32".to_owned(),
        Kind::Uint64 => "Uint64".to_owned(),
        Kind::String => "String".to_owned(),
        Kind::Bytes => "Bytes".to_owned(),
        Kind::Enum(kind) => {
            let known: BTreeSet<i32> = kind.values().map(|value| value.number()).collect();
            format!("Enum(&{known:?})").replace(['{'], "[").replace('}', "]")
        }
        Kind::Message(kind) => match kind.full_name() {
            "google.protobuf.Duration" => "Duration".to_owned(),
            "google.protobuf.Timestamp" => "Timestamp".to_owned(),
            "google.protobuf.FieldMask" => "FieldMask".to_owned(),
            name if !field.is_map() && index.contains_key(name) => format!("Message({})", index[name]),
            name => return Err(format!("{}: no request may hold {name}", field.full_name()).into()),
        },
        other => return Err(format!("{}: no rule for fields of kind {other:?}", field.full_name()).into()),
    };
    // a message field always has presence; what matters is whether a zero counts as a value
    let presence = field.supports_presence() && !matches!(field.kind(), Kind::Message(_));
    Ok(format!(
        "Field {{ number: {}, name: {:?}, kind: Kind::{kind}, repeated: {}, presence: {presence}, bounds: {} }},\n",
        field.number(),
        field.name(),
        field.is_list(),
        literal(&field.options(), bounds),
    ))
}

/// The `FieldBounds` of a field as a Rust literal.
fn literal(options: &DynamicMessage, extension: &ExtensionDescriptor) -> String {
    let value = options.get_extension(extension);
    let set = value.as_message();
    let scalar = |name: &str| {
        set.filter(|set| set.has_field_by_name(name)).and_then(|set| set.get_field_by_name(name)).map(
            |value| match value.as_ref() {
                Value::Bool(value) => value.to_string(),
                Value::U32(value) => value.to_string(),
                Value::I64(value) => value.to_string(),
                Value::EnumNumber(value) => value.to_string(),
                other => format!("{other:?}"),
            },
        )
    };
    let plain = |name: &str| {
        scalar(name).unwrap_or_else(|| if name == "required" { "false" } else { "0" }.to_owned())
    };
    let optional = |name: &str| scalar(name).map_or("None".to_owned(), |value| format!("Some({value})"));
    format!(
        "FieldBounds {{ required: {}, min_len: {}, max_len: {}, len: {}, min_items: {}, max_items: {}, min: {}, \
         max: {}, format: {} }}",
        plain("required"),
        plain("min_len"),
        plain("max_len"),
        optional("len"),
        plain("min_items"),
        plain("max_items"),
        optional("min"),
        optional("max"),
        plain("format"),
    )
}

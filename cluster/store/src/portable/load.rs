//! The rows of a dump, into the tables.

use tokio::io::AsyncRead;

use super::{
    Dump, DumpError,
    read::{Part, Reader},
};
use crate::{
    backend::Tx,
    kernel::{
        row::Table,
        statement::{Action, Statement},
        value::{Kind, Value},
    },
    migrate, tables,
};

/// Inserts every row. The tables are those of this program, in its order: the schema's version says so, and
/// a heading that differs is damage.
pub(super) async fn rows(tx: &mut Tx, from: &mut (impl AsyncRead + Unpin)) -> Result<Dump, DumpError> {
    let mut reader = Reader::begin(from).await?;
    let (kind, mut header) = reader.record().await?;
    let schema = (kind == b'H').then(|| header.int()).flatten().ok_or(DumpError::Unknown)?;
    if schema != migrate::version() {
        return Err(DumpError::Schema { dump: schema, program: migrate::version() });
    }
    let mut counts = Vec::new();
    for table in tables::all() {
        counts.push((table.name.to_owned(), table_rows(tx, &mut reader, table).await?));
    }
    reader.place = "the end".to_owned();
    let (kind, mut end) = reader.record().await?;
    let all: u64 = counts.iter().map(|(_, rows)| rows).sum();
    if kind != b'E' || end.int() != i64::try_from(all).ok() || !end.is_read() {
        return Err(reader.damaged(end.at, "it does not count the rows that were there"));
    }
    Ok(Dump { rows: counts, digest: reader.end().await? })
}

async fn table_rows<R: AsyncRead + Unpin>(
    tx: &mut Tx,
    reader: &mut Reader<'_, R>,
    table: &'static Table,
) -> Result<u64, DumpError> {
    reader.place = format!("the heading of {}", table.name);
    let (kind, mut heading) = reader.record().await?;
    let fits = kind == b'T'
        && heading.text().as_deref() == Some(table.name)
        && table.columns.iter().all(|column| heading.text().as_deref() == Some(column.name))
        && heading.is_read();
    if !fits {
        return Err(reader.damaged(heading.at, "it is not the table that belongs here"));
    }
    let mut rows = 0;
    loop {
        reader.place = format!("row {} of {}", rows + 1, table.name);
        let (kind, mut part) = reader.record().await?;
        match kind {
            b'R' => {
                let values = values(&mut part, table)
                    .ok_or_else(|| reader.damaged(part.at, "a value is not one of its column"))?;
                let insert = Statement { table, action: Action::Insert(values) };
                if tx.run(&insert).await?.affected == 0 {
                    return Err(reader.damaged(part.at, "its key was there before"));
                }
                rows += 1;
            }
            b'C' if part.int() == i64::try_from(rows).ok() && part.is_read() => return Ok(rows),
            b'C' => return Err(reader.damaged(part.at, "it does not count the rows that were there")),
            _ => return Err(reader.damaged(part.at, "a record of no known kind")),
        }
    }
}

fn values(part: &mut Part, table: &Table) -> Option<Vec<Value>> {
    let mut values = Vec::with_capacity(table.columns.len());
    for column in table.columns {
        let value = part.value()?;
        let fits = match (&value, column.kind) {
            (Value::Null, _) => column.nullable,
            (Value::Int(_), Kind::Int) | (Value::Text(_), Kind::Text) | (Value::Blob(_), Kind::Blob) => true,
            (Value::Int(_) | Value::Text(_) | Value::Blob(_), Kind::Int | Kind::Text | Kind::Blob) => false,
        };
        if !fits {
            return None;
        }
        values.push(value);
    }
    part.is_read().then_some(values)
}

//! Writing a dump, record by record.

use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncWrite, AsyncWriteExt as _};

use super::{Dump, DumpError, MAGIC};
use crate::kernel::{row::Table, value::Value};

pub(super) struct Writer<'w, W> {
    out: &'w mut W,
    sum: Sha256,
    rows: Vec<(String, u64)>,
}

impl<'w, W: AsyncWrite + Unpin> Writer<'w, W> {
    pub(super) async fn begin(out: &'w mut W, schema: i64) -> Result<Self, DumpError> {
        let mut writer = Self { out, sum: Sha256::new(), rows: Vec::new() };
        writer.put(&MAGIC).await?;
        let mut header = vec![b'H'];
        header.extend(schema.to_be_bytes());
        writer.record(&header).await?;
        Ok(writer)
    }

    pub(super) async fn table(&mut self, table: &Table) -> Result<(), DumpError> {
        let mut heading = vec![b'T'];
        text(&mut heading, table.name);
        for column in table.columns {
            text(&mut heading, column.name);
        }
        self.rows.push((table.name.to_owned(), 0));
        self.record(&heading).await
    }

    pub(super) async fn row(&mut self, values: &[Value]) -> Result<(), DumpError> {
        let mut row = vec![b'R'];
        for value in values {
            match value {
                Value::Null => row.push(0),
                Value::Int(int) => {
                    row.push(1);
                    row.extend(int.to_be_bytes());
                }
                Value::Text(value) => {
                    row.push(2);
                    text(&mut row, value);
                }
                Value::Blob(value) => {
                    row.push(3);
                    bytes(&mut row, value);
                }
            }
        }
        if let Some((_, rows)) = self.rows.last_mut() {
            *rows += 1;
        }
        self.record(&row).await
    }

    pub(super) async fn table_ends(&mut self) -> Result<(), DumpError> {
        let rows = self.rows.last().map_or(0, |(_, rows)| *rows);
        let mut count = vec![b'C'];
        count.extend(rows.to_be_bytes());
        self.record(&count).await
    }

    pub(super) async fn end(mut self) -> Result<Dump, DumpError> {
        let all: u64 = self.rows.iter().map(|(_, rows)| rows).sum();
        let mut end = vec![b'E'];
        end.extend(all.to_be_bytes());
        self.record(&end).await?;
        let digest: [u8; 32] = self.sum.clone().finalize().into();
        self.out.write_all(&digest).await?;
        self.out.flush().await?;
        Ok(Dump { rows: self.rows, digest })
    }

    async fn record(&mut self, payload: &[u8]) -> Result<(), DumpError> {
        let length = u32::try_from(payload.len())
            .map_err(|_| std::io::Error::other("a row is longer than a dump can hold"))?;
        self.put(&length.to_be_bytes()).await?;
        self.put(payload).await?;
        let sum = self.sum.clone().finalize();
        self.put(&sum[..8]).await
    }

    async fn put(&mut self, bytes: &[u8]) -> Result<(), DumpError> {
        self.sum.update(bytes);
        Ok(self.out.write_all(bytes).await?)
    }
}

fn text(into: &mut Vec<u8>, text: &str) {
    bytes(into, text.as_bytes());
}

fn bytes(into: &mut Vec<u8>, bytes: &[u8]) {
    // a record is bounded by u32 as a whole, so a longer part is refused there
    into.extend(u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
    into.extend(bytes);
}

//! Going through all rows of a kind.

/// All rows of a kind, a page at a time.
macro_rules! pages {
    ($work:expr, $row:ty, $key:ident, $page:ident => $body:block) => {{
        let mut last = None;
        loop {
            let $page = match &last {
                Some(last) => $work.tx.find::<$row>(ocmt_store::Filter::all().after(last)).await?,
                None => $work.tx.find::<$row>(ocmt_store::Filter::all()).await?,
            };
            let Some(end) = $page.last() else { break };
            last = Some(end.$key);
            $body
        }
    }};
}
pub(crate) use pages;

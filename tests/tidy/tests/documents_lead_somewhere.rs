//! The book is whole, and what the pages point at is there.

use anyhow::Context as _;
use ocmt_tidy::{
    assert_none, asvs, book, evidence,
    tree::{self, Source},
};

fn pages() -> anyhow::Result<Vec<Source>> {
    let mut pages = tree::sources()?;
    pages.retain(|source| source.has_extension("md"));
    Ok(pages)
}

#[test]
fn every_relative_link_leads_to_a_file() -> anyhow::Result<()> {
    let root = tree::root();
    let exists = |path: &str| root.join(path).exists();
    let findings: Vec<_> = pages()?.iter().flat_map(|page| book::dead_links(page, &exists)).collect();
    assert_none(&findings);
    Ok(())
}

#[test]
fn every_page_of_the_book_is_in_its_contents() -> anyhow::Result<()> {
    let pages = pages()?;
    let contents =
        pages.iter().find(|page| page.path == book::CONTENTS).context("the book has no contents")?;
    assert_none(&book::missing_from_contents(contents, &tree::paths()?));
    Ok(())
}

#[test]
fn every_make_target_that_is_named_exists() -> anyhow::Result<()> {
    let makefile = std::fs::read_to_string(tree::root().join("Makefile"))?;
    let findings: Vec<_> = pages()?.iter().flat_map(|page| book::missing_targets(page, &makefile)).collect();
    assert_none(&findings);
    Ok(())
}

#[test]
fn the_figures_of_the_asvs_table_are_those_of_its_rows() -> anyhow::Result<()> {
    let table = std::fs::read_to_string(tree::root().join("docs/security/asvs.md"))?;
    assert_none(&asvs::check(&table));
    Ok(())
}

#[test]
fn every_test_that_a_page_names_exists() -> anyhow::Result<()> {
    let root = tree::root();
    let text = |path: &str| std::fs::read_to_string(root.join(path)).ok();
    let pages = pages()?;
    assert_none(&pages.iter().flat_map(|page| evidence::missing(page, &text)).collect::<Vec<_>>());
    Ok(())
}

#[test]
fn every_row_of_the_posture_has_its_evidence() -> anyhow::Result<()> {
    let pages = pages()?;
    let posture = pages.iter().find(|page| page.path == "docs/security/posture.md").context("no posture")?;
    assert!(evidence::of(posture).len() > 40, "the rows of the posture are not read any more");
    assert_none(&evidence::rows_without(posture));
    Ok(())
}

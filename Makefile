# Two commands matter: `make demo` and `make test`. Both install what is missing, then do all the rest.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
TARGET := $(or $(CARGO_TARGET_DIR),target)
scripts := tests/scripts

.PHONY: help demo test lint build cell release docs clean

help: ## what can be made
	@grep -hE '^[a-z]+: .*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /\1\t/' \
		| awk -F'\t' '{ printf "  make %-7s %s\n", $$1, $$2 }'

# built as `make test` builds it, for which it is needed anyway: an optimised build takes far longer, and shows nothing more
demo: ## the whole main job on this machine, step by step (ARGS="--keep" leaves its files)
	@$(scripts)/install.sh demo
	cargo build --locked --workspace --bins
	@$(scripts)/cell.sh
	$(TARGET)/debug/ocmt demo $(ARGS)

test: ## everything: format, lints, advisories, tests on real engines
	@$(scripts)/test.sh

lint: ## format and lints only
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings

build: ## the node, optimised, into target/release/ocmt
	cargo build --release --locked -p ocmt

cell: ## the static programs that go into containers
	@$(scripts)/cell.sh

release: ## what is handed out, into target/dist, with SBOM, licences, digests (CHECK=1: two builds are the same)
	@$(scripts)/release.sh $(if $(CHECK),check,build)

docs: ## the book, into target/book (needs mdbook)
	@if command -v mdbook >/dev/null; then \
		mdbook build docs; \
	else \
		echo "mdbook is not installed: cargo install --locked mdbook" >&2; \
		echo "the pages are plain Markdown; start at docs/SUMMARY.md" >&2; \
		exit 1; \
	fi

clean: ## what was built, and the data of a development node (.ocmt)
	cargo clean
	rm -rf .ocmt

# The daily verbs. README and CI call the same ones.

default: picture

# Formatting, clippy and docs, warnings denied.
check:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets --all-features -- -D warnings
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps

test:
    cargo test --workspace

# One picture from text.
picture *args:
    cargo run --release --example workflow -- {{args}}

# A folder of reference numbers against the models.
parity dir:
    cargo run --release -p kiln-models --example parity -- {{dir}}

bench crate:
    cargo bench -p {{crate}}

# Apps outside of the workspace: README's code, and the derive under every name of the facade.
outside:
    cp Cargo.lock tests/out_of_tree/
    cd tests/out_of_tree && cargo test --workspace --offline

# Programs written for ComfyUI's server, with the built command.
clients:
    cargo build -p kiln-cli
    cd tests/clients && cargo test

# ComfyUI's page and Kiln's own in a browser, with the built command.
browser:
    cargo build -p kiln-cli
    tests/browser/run

# Every crate as a package, in target/package.
packages:
    cargo package --workspace --exclude xtask --no-verify --locked --allow-dirty

tidy:
    cargo run -p xtask -- tidy

# Accept new snapshots after looking at them.
bless:
    INSTA_UPDATE=always cargo test --workspace

ci:
    .ci/run

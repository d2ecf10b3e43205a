#!/usr/bin/env bash
# Builds the bridge with its mutants, and shows that the matrix notices each. Needs RabbitMQ.
set -euo pipefail
cd "$(dirname "$0")/.."
cargo rustc --quiet --locked --bin slipring-bridge -- --cfg slipring_mutants
mkdir -p target/mutants
cp target/debug/slipring-bridge target/mutants/
SLIPRING_BRIDGE=$PWD/target/mutants/slipring-bridge cargo test --quiet --locked --test matrix -- --mutants

"""The stage ``contents``: bundle.json agrees with the manifest, the rulesets and the README that lie beside it.

That it is spelled canonically and lists the log files and tiles that its number of entries has was seen when it was
opened. Nobody has signed a manifest or a ruleset: a manifest is measured by the one that the auditor brings, a ruleset
by its hash, which the chain has activated.
"""

import itertools
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import msgspec

from deepnode_cli.verifying.finding import Examination, Finding, Severity, said_of
from deepnode_ledger.bundle import Bundle, layout, readme
from deepnode_ledger.bundle.manifest_files import abis_of
from deepnode_ledger.errors import BadInput
from deepnode_ledger.hexadecimal import to_hex
from deepnode_ledger.manifest import Manifest, load_manifest
from deepnode_ledger.manifest_file import parse_manifest
from deepnode_projections import rulesets
from deepnode_projections.rulesets.profiles import RULESET_BYTES_MAX

STAGE: Final = "contents"
CONTENTS: Final = "bundle.json"
RULESETS: Final = "rulesets/"
MANIFESTS: Final = "manifest/"

READ_AS: Final = "of_bundle"
"""The name under which a ruleset of the bundle is read: names are no part of what is hashed."""


def listing(examination: Examination) -> Iterator[Finding]:
    """Compare bundle.json with what it speaks of."""
    bundle = examination.bundle
    yield from _of_manifest(examination)
    for name in bundle.names():
        if name.startswith(RULESETS):
            examination.count("rulesets", 1)
            yield from _of_ruleset(bundle, name)
    yield from _of_readme(bundle)
    yield from _of_end(bundle)


def _of_manifest(examination: Examination) -> Iterator[Finding]:
    bundle, brought = examination.bundle, examination.brought.manifest
    try:
        manifest = bundle.manifest()
    except BadInput as error:
        yield Finding(Severity.ERROR, STAGE, layout.MANIFEST, said_of(error))
        return
    examination.count("contracts", len(manifest.contracts))
    yield from _of_chains(bundle, manifest)
    if brought is None:
        yield Finding(
            Severity.WARNING,
            STAGE,
            layout.MANIFEST,
            f"no manifest was brought: contracts and producers are those that the bundle names, of the manifest digest "
            f"{bundle.contents.manifest}. Compare it with the published one, or pass that with --manifest",
        )
        return
    trusted = load_manifest(brought)
    if trusted.digest != manifest.digest:
        said = f"it has the digest {to_hex(manifest.digest)}, the manifest that was brought {to_hex(trusted.digest)}"
        yield Finding(Severity.ERROR, STAGE, layout.MANIFEST, said)
    for name in sorted({*trusted.producers, *manifest.producers}):
        ours, theirs = trusted.producers.get(name), manifest.producers.get(name)
        if ours is None or theirs is None:
            whose = "the bundle's manifest" if ours is None else "the manifest that was brought"
            yield Finding(Severity.WARNING, STAGE, layout.MANIFEST, f"only {whose} has the producer {name!r}")
        elif ours.key != theirs.key:
            said = f"producer {name!r} has the key {to_hex(theirs.key)}, the manifest that was brought says "
            yield Finding(Severity.ERROR, STAGE, layout.MANIFEST, said + to_hex(ours.key))


def _of_chains(bundle: Bundle, manifest: Manifest) -> Iterator[Finding]:
    contents = bundle.contents
    if contents.chain_id != manifest.chain_id:
        said = f"the home chain is {contents.chain_id}, the manifest says {manifest.chain_id}"
        yield Finding(Severity.ERROR, STAGE, CONTENTS, said)
    for chain in contents.chains:
        meant = manifest.chains.get(chain.chain_id)
        if meant is None:
            yield Finding(Severity.ERROR, STAGE, CONTENTS, f"chain {chain.chain_id} is not in the manifest")
            continue
        if chain.genesis_hash != to_hex(meant.genesis_hash):
            said = f"chain {chain.chain_id} has the genesis {chain.genesis_hash}, the manifest says "
            yield Finding(Severity.ERROR, STAGE, CONTENTS, said + to_hex(meant.genesis_hash))
        first = manifest.first_block_of(chain.chain_id)
        if chain.first_block > first:
            said = (
                f"chain {chain.chain_id} is taken in from block {chain.first_block} on, its contracts begin at {first}"
            )
            integers = {"first_block": chain.first_block, "start_block": first}
            yield Finding(Severity.ERROR, STAGE, CONTENTS, said, integers=integers)
        if (chain.last_block is None) != (chain.last_hash is None):
            said = f"chain {chain.chain_id} has the last block {chain.last_block} of hash {chain.last_hash}"
            yield Finding(Severity.ERROR, STAGE, CONTENTS, said)
    listed = {name for name in bundle.names() if name.startswith(MANIFESTS) and name != layout.MANIFEST}
    for name in sorted(listed - _abis(bundle)):
        yield Finding(Severity.WARNING, STAGE, name, "the manifest names no such file")


def _abis(bundle: Bundle) -> set[str]:
    """Names of the ABI files that the bundle's manifest names, which was read before."""
    with TemporaryDirectory(prefix="deepnode-manifest-") as place:
        path = Path(place) / "manifest.toml"
        path.write_bytes(bundle.read(layout.MANIFEST))
        return {f"{MANIFESTS}{name}" for name in abis_of(parse_manifest(path))}


def _of_ruleset(bundle: Bundle, name: str) -> Iterator[Finding]:
    named = name.removeprefix(RULESETS).removesuffix(".toml")
    try:
        text = bundle.read(name, RULESET_BYTES_MAX).decode()
        made = rulesets.parse(READ_AS, text)
    except (BadInput, UnicodeDecodeError) as error:
        yield Finding(Severity.ERROR, STAGE, name, f"it is no ruleset: {error}")
        return
    if named not in map(to_hex, made.hashes):
        said = f"its fields have the hash {to_hex(made.spec_hash)}, its name says {named}"
        yield Finding(Severity.ERROR, STAGE, name, said)
    known = rulesets.by_hash(bytes.fromhex(named[2:]))
    if known is None:
        said = "no ruleset of this hash comes with the program: epochs under it are replayed as under unknown rules"
        yield Finding(Severity.WARNING, STAGE, name, said)
    elif known.spec_hash != made.spec_hash:
        said = f"its fields have the hash {to_hex(made.spec_hash)}, {named} stands for {to_hex(known.spec_hash)}"
        yield Finding(Severity.ERROR, STAGE, name, said)


def _of_readme(bundle: Bundle) -> Iterator[Finding]:
    try:
        found = bundle.read(layout.README)
    except BadInput as error:
        yield Finding(Severity.ERROR, STAGE, layout.README, str(error))
        return
    if found != readme.text(msgspec.structs.replace(bundle.contents, files=())).encode():
        said = "it is not the text that a bundle of this version has: do not follow it"
        yield Finding(Severity.WARNING, STAGE, layout.README, said)


def _of_end(bundle: Bundle) -> Iterator[Finding]:
    """Compare the epochs and the end with what was asked for."""
    contents = bundle.contents
    asked, _, number = contents.to.partition(":")
    if asked == "position" and int(number) != contents.entries:
        said = f"it was asked for up to position {number} and has {contents.entries} entries"
        yield Finding(Severity.ERROR, STAGE, CONTENTS, said)
    last = contents.epochs[-1] if contents.epochs else None
    if asked == "epoch" and (last is None or (last.epoch, last.position) != (int(number), contents.entries)):
        said = f"it was asked for up to the end of epoch {number}, and its last epoch is another"
        yield Finding(Severity.ERROR, STAGE, CONTENTS, said)
    numbers = [each.epoch for each in contents.epochs]
    for before, epoch in itertools.pairwise(numbers):
        if epoch != before + 1:
            said = f"epoch {epoch} stands behind epoch {before}"
            yield Finding(Severity.ERROR, STAGE, CONTENTS, said, integers={"epoch": epoch, "before": before})

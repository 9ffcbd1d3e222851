"""Proofs that a log has an entry: the example of the document, and everything that must be refused."""

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lottery.transparency_log.canonical_text import MAX_NUMBER, Malformed, write_base64
from lottery.transparency_log.checkpoint import Checkpoint, sign_checkpoint
from lottery.transparency_log.merkle import EMPTY, InvalidProof
from lottery.transparency_log.policy import QuorumMissed, parse_policy
from lottery.transparency_log.signed_note import InvalidSignature, SignedNote
from lottery.transparency_log.tlog_proof import MAX_EXTRA_BYTES, MAX_HASHES, TlogProof, check_proof, parse_proof
from signed_logs import CHECKPOINT, ENTRIES, LEAVES, LOG, bent, cosigned_note, flips, policy_text, proof_of

POLICY = parse_policy(policy_text())
REFUSALS = (Malformed, InvalidSignature, InvalidProof, QuorumMissed)

# The head of the example of C2SP tlog-proof. Its signatures are shortened there, and its extra data is not canonical.
EXAMPLE_HEAD = """c2sp.org/tlog-proof@v1
index 73894
gSKyXoYZUgZ6jduWYrkDOARinOMGJveXjgMkBTcdPlQ=
B95lDa8R83lS8n0eG+o0buTxRKQTYFi//1U8anccXmA=
EKNzoDWG8LGC0Yp9o+sv3qllpMP9uHQ9B20KNL+Q1zs=
RoopEkOdqkYqMB4MJXrbt/hMjOxsVn0IrWjpz1ZMMes=
AHCioX9nLjsrse6YhjRRmk1WUEirVOLLRoOQ6vfO5vk=

example.com/fancylog
109482
sFodV/vSp5O8n9a8QpW6PRY97tfOSW5bsc2Xl/EQi08=

"""


def test_the_example_of_the_document_is_read() -> None:
    text = f"{EXAMPLE_HEAD}— example.com/fancylog hI2DJ1roloI=\n"
    proof = parse_proof(text.encode())
    assert (proof.index, len(proof.hashes), proof.extra) == (73894, 5, b"")
    assert proof.checkpoint.text.startswith("example.com/fancylog\n109482\n")
    assert proof.encoded.decode() == text


@pytest.mark.parametrize("index", range(len(ENTRIES)))
def test_every_entry_has_a_proof_that_holds_for_it_alone(index: int) -> None:
    proof = parse_proof(proof_of(index).encoded)
    for other, entry in enumerate(ENTRIES):
        if other == index:
            assert check_proof(proof, entry=entry, policy=POLICY).checkpoint == CHECKPOINT
        else:
            with pytest.raises(InvalidProof):
                check_proof(proof, entry=entry, policy=POLICY)


def test_a_proof_at_another_index_is_refused() -> None:
    for index in (0, 1, 2, 4, 5, 6, 7, MAX_NUMBER):
        with pytest.raises(InvalidProof):
            check_proof(dataclasses.replace(proof_of(3), index=index), entry=ENTRIES[3], policy=POLICY)


def test_a_proof_without_the_quorum_or_the_log_is_refused() -> None:
    proof = proof_of(3)
    with pytest.raises(QuorumMissed):
        check_proof(dataclasses.replace(proof, checkpoint=cosigned_note(witnesses=())), entry=ENTRIES[3], policy=POLICY)
    witnesses_only = SignedNote(proof.checkpoint.text, proof.checkpoint.signatures[1:])
    with pytest.raises(InvalidSignature):
        check_proof(dataclasses.replace(proof, checkpoint=witnesses_only), entry=ENTRIES[3], policy=POLICY)


def test_an_empty_log_proves_nothing() -> None:
    note = sign_checkpoint(Checkpoint(LOG.name, 0, EMPTY), LOG)
    with pytest.raises(InvalidProof, match="0 entries has no entry 0"):
        check_proof(TlogProof(0, (), note), entry=b"", policy=parse_policy(policy_text("none")))


def test_a_log_with_one_entry_proves_it_without_hashes() -> None:
    note = cosigned_note(Checkpoint(LOG.name, 1, LEAVES[0]))
    proof = parse_proof(TlogProof(0, (), note).encoded)
    assert check_proof(proof, entry=ENTRIES[0], policy=POLICY).checkpoint.size == 1


def test_every_flipped_bit_of_a_proof_is_refused() -> None:
    for flipped in flips(proof_of(3).encoded):
        with pytest.raises(REFUSALS):
            check_proof(parse_proof(flipped), entry=ENTRIES[3], policy=POLICY)


def test_every_flipped_bit_of_the_entry_is_refused() -> None:
    for flipped in flips(ENTRIES[3]):
        with pytest.raises(InvalidProof):
            check_proof(proof_of(3), entry=flipped, policy=POLICY)


@pytest.mark.parametrize("extra", [b"", b"ranking and salt"])
def test_every_other_line_end_and_tail_is_refused(extra: bytes) -> None:
    proof = proof_of(3, extra=extra)
    for other in bent(proof.encoded):
        try:
            read = parse_proof(other)
            check_proof(read, entry=ENTRIES[3], policy=POLICY)
        except REFUSALS:
            continue
        assert_only_the_extra_data_differs(read, proof)


def test_a_flipped_bit_of_the_extra_data_is_refused_or_shows() -> None:
    proof = proof_of(3, extra=b"ranking and salt")
    line = b"extra " + write_base64(proof.extra).encode() + b"\n"
    head, tail = proof.encoded.split(line)
    shown = 0
    for flipped in flips(line):
        try:
            read = parse_proof(head + flipped + tail)
        except Malformed:
            continue
        assert_only_the_extra_data_differs(read, proof)
        shown += 1
    assert shown > 0


def assert_only_the_extra_data_differs(read: TlogProof, proof: TlogProof) -> None:
    """The format signs no extra data. Nothing else may change, and never the same data be written in two ways."""
    assert read.extra != proof.extra
    assert dataclasses.replace(read, extra=proof.extra) == proof


digests = st.binary(min_size=32, max_size=32)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, MAX_NUMBER), st.lists(digests, max_size=MAX_HASHES).map(tuple), st.binary(max_size=50))
def test_proofs_are_read_as_they_are_written(index: int, hashes: tuple[bytes, ...], extra: bytes) -> None:
    proof = TlogProof(index, hashes, cosigned_note(), extra)
    assert parse_proof(proof.encoded) == proof


HASH = write_base64(LEAVES[0])
NOTE = cosigned_note().encoded.decode()


@pytest.mark.parametrize(
    "head",
    [
        "",
        "\n",
        "index 0\n",
        "c2sp.org/tlog-proof@v1\n",
        "c2sp.org/tlog-proof@v2\nindex 0\n",
        " c2sp.org/tlog-proof@v1\nindex 0\n",
        "\nc2sp.org/tlog-proof@v1\nindex 0\n",
        "c2sp.org/tlog-proof@v1\nindex\n",
        "c2sp.org/tlog-proof@v1\nindex \n",
        "c2sp.org/tlog-proof@v1\nindex 00\n",
        "c2sp.org/tlog-proof@v1\nindex 01\n",
        "c2sp.org/tlog-proof@v1\nindex -1\n",
        "c2sp.org/tlog-proof@v1\nindex  1\n",
        "c2sp.org/tlog-proof@v1\nindex ١\n",
        f"c2sp.org/tlog-proof@v1\nindex {2**63}\n",
        "c2sp.org/tlog-proof@v1\nextra\nindex 0\n",
        "c2sp.org/tlog-proof@v1\nextra \nindex 0\n",
        "c2sp.org/tlog-proof@v1\nextra AA=\nindex 0\n",
        "c2sp.org/tlog-proof@v1\nextra AB==\nindex 0\n",
        "c2sp.org/tlog-proof@v1\nextra AA==\nextra AA==\nindex 0\n",
        "c2sp.org/tlog-proof@v1\nindex 0\nextra AA==\n",
        "c2sp.org/tlog-proof@v1\nother AA==\nindex 0\n",
        "c2sp.org/tlog-proof@v1\nindex 0\nindex 0\n",
        "c2sp.org/tlog-proof@v1\nindex 0\nAA==\n",
        f"c2sp.org/tlog-proof@v1\nindex 0\n{HASH} \n",
        f"c2sp.org/tlog-proof@v1\nindex 0\n{HASH}{HASH}\n",
        f"c2sp.org/tlog-proof@v1\nindex 0\n\n{HASH}\n",
        "c2sp.org/tlog-proof@v1\nindex 0\n" + f"{HASH}\n" * (MAX_HASHES + 1),
    ],
)
def test_what_is_no_proof_is_refused(head: str) -> None:
    with pytest.raises(Malformed):
        parse_proof(f"{head}\n{NOTE}".encode())


def test_a_proof_needs_a_checkpoint_and_holds_a_bounded_amount() -> None:
    for note in ("", "a note\n\n— name AAAAAAA=\n", NOTE[: NOTE.index("—")]):
        with pytest.raises(Malformed):
            parse_proof(f"c2sp.org/tlog-proof@v1\nindex 0\n\n{note}".encode())
    with pytest.raises(Malformed, match="bytes of extra data"):
        TlogProof(0, (), cosigned_note(), bytes(MAX_EXTRA_BYTES + 1))
    with pytest.raises(Malformed, match="are read"):
        parse_proof(b"x" * 2_000_001)


VALID = proof_of(3, extra=b"salt").encoded


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode), st.integers(0, len(VALID)))
def test_whatever_a_proof_is_it_is_read_and_written_alike_or_refused(inside: bytes, place: int) -> None:
    for data in (inside, VALID[:place] + inside + VALID[place:], VALID[:place] + inside, inside + VALID[place:]):
        try:
            proof = parse_proof(data)
        except Malformed:
            continue
        assert proof.encoded == data

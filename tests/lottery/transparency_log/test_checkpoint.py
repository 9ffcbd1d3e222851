"""Checkpoints, alone and cosigned: the examples of the documents, and everything that must be refused."""

import contextlib
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lottery.transparency_log.canonical_text import MAX_NUMBER, Malformed, read_base64, read_decimal, write_base64
from lottery.transparency_log.checkpoint import (
    Checkpoint,
    OtherOrigin,
    open_checkpoint,
    parse_checkpoint,
    sign_checkpoint,
)
from lottery.transparency_log.cosignature import Cosignature, cosign, signed_message, verify_cosignatures
from lottery.transparency_log.merkle import EMPTY
from lottery.transparency_log.note_keys import COSIGNATURE, ED25519, SignerKey
from lottery.transparency_log.signed_note import InvalidSignature, Signature, SignedNote, parse_note, sign_note
from signed_logs import CHECKPOINT, LOG, ORIGIN, TIME, WITNESSES, bent, cosigned_note, flips, signer

# The examples of C2SP tlog-checkpoint and tlog-cosignature
EXAMPLE_TEXT = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
EXAMPLE = (
    f"{EXAMPLE_TEXT}\n"
    "— example.com/behind-the-sofa "
    "Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n"
    "— witness.example.com/w1 "
    "jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==\n"
)

SIGNED = sign_checkpoint(CHECKPOINT, LOG)
COSIGNED = cosigned_note()
WITNESS_KEYS = [witness.verifier for witness in WITNESSES]


def test_the_example_of_the_document_is_read() -> None:
    note = parse_note(EXAMPLE.encode())
    checkpoint = parse_checkpoint(note.text)
    assert (checkpoint.origin, checkpoint.size) == ("example.com/behind-the-sofa", 20852163)
    assert (checkpoint.text, note.encoded.decode()) == (EXAMPLE_TEXT, EXAMPLE)


def test_the_example_of_a_cosigned_message_is_made() -> None:
    assert signed_message(EXAMPLE_TEXT, 1679315147).decode() == f"cosignature/v1\ntime 1679315147\n{EXAMPLE_TEXT}"
    line = parse_note(EXAMPLE.encode()).signatures[1]
    assert (len(line.value), int.from_bytes(line.value[:8], "big")) == (72, 1679315147)


def test_a_cosignature_is_a_time_and_a_signature_over_header_time_and_checkpoint() -> None:
    key = WITNESSES[0]
    line = cosign(CHECKPOINT.text, key, time=TIME)
    assert line.value[:8] == TIME.to_bytes(8, "big")
    assert key.verifier.verifies(f"cosignature/v1\ntime {TIME}\n{CHECKPOINT.text}".encode(), line.value[8:])


def test_what_is_signed_is_opened_with_the_old_key_or_the_new_one() -> None:
    new = SignerKey(ORIGIN, ED25519, bytes(32))
    assert open_checkpoint(SIGNED.encoded, LOG.verifier) == CHECKPOINT
    assert open_checkpoint(SIGNED.encoded, new.verifier, LOG.verifier) == CHECKPOINT
    with pytest.raises(InvalidSignature):
        open_checkpoint(SIGNED.encoded, new.verifier)


def test_cosignatures_are_verified_with_their_times() -> None:
    expected = tuple(Cosignature(key, TIME + place) for place, key in enumerate(WITNESS_KEYS))
    assert verify_cosignatures(COSIGNED, WITNESS_KEYS) == expected
    assert verify_cosignatures(COSIGNED, WITNESS_KEYS[1:]) == expected[1:]
    assert verify_cosignatures(SIGNED, WITNESS_KEYS) == ()


def test_every_flipped_bit_of_a_signed_checkpoint_is_refused() -> None:
    for flipped in flips(SIGNED.encoded):
        with pytest.raises((Malformed, InvalidSignature)):
            open_checkpoint(flipped, LOG.verifier)


def accept(data: bytes) -> None:
    """Accept a checkpoint that the log signed and both witnesses cosigned."""
    open_checkpoint(data, LOG.verifier)
    if len(verify_cosignatures(parse_note(data), WITNESS_KEYS)) < 2:
        raise InvalidSignature("a witness is missing")


def test_every_flipped_bit_of_a_cosigned_checkpoint_is_refused() -> None:
    accept(COSIGNED.encoded)
    for flipped in flips(COSIGNED.encoded):
        with pytest.raises((Malformed, InvalidSignature)):
            accept(flipped)


def test_every_other_line_end_and_tail_is_refused() -> None:
    for other in bent(COSIGNED.encoded):
        with pytest.raises((Malformed, InvalidSignature)):
            accept(other)


lines = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=30)
sizes = st.integers(1, MAX_NUMBER)
checkpoints = st.builds(
    Checkpoint, lines, sizes, st.binary(min_size=32, max_size=32), st.lists(lines, max_size=2).map(tuple)
)


@settings(max_examples=50, deadline=None)
@given(checkpoints, st.integers(0, MAX_NUMBER))
def test_checkpoints_are_read_as_they_are_written(checkpoint: Checkpoint, time: int) -> None:
    assert parse_checkpoint(checkpoint.text) == checkpoint
    note = SignedNote(checkpoint.text, (cosign(checkpoint.text, WITNESSES[0], time=time),))
    assert verify_cosignatures(parse_note(note.encoded), WITNESS_KEYS[:1]) == (Cosignature(WITNESS_KEYS[0], time),)


def test_an_empty_log_has_the_root_of_nothing() -> None:
    assert parse_checkpoint(Checkpoint(ORIGIN, 0, EMPTY).text).size == 0
    with pytest.raises(Malformed, match="empty tree"):
        Checkpoint(ORIGIN, 0, bytes(32))


ROOT = write_base64(CHECKPOINT.root)


def malformed_texts() -> Iterator[str]:
    yield from ("", "\n", "\n\n\n", f"{ORIGIN}\n7\n", f"\n7\n{ROOT}\n", f"{ORIGIN}\n\n{ROOT}\n", f"{ORIGIN}\n7\n{ROOT}")
    yield from (f"{ORIGIN}\n7\n{ROOT}\n\n", f"{ORIGIN}\n7\n{ROOT}\n\nextension\n", f"{ORIGIN}\r\n7\n{ROOT}\n")
    for size in (
        "07",
        "+7",
        "-7",
        " 7",
        "7 ",
        "7.0",
        "0x7",
        "7_0",
        "٧",
        "²",
        str(2**63),
        str(2**64),
        "9" * 5000,
        "seven",
    ):
        yield f"{ORIGIN}\n{size}\n{ROOT}\n"
    for root in (ROOT[:-1], ROOT + "=", ROOT[:-4], f" {ROOT}", ROOT.replace("=", ""), write_base64(bytes(31)), "="):
        yield f"{ORIGIN}\n7\n{root}\n"


@pytest.mark.parametrize("text", list(malformed_texts()))
def test_what_is_no_checkpoint_is_refused(text: str) -> None:
    with pytest.raises(Malformed):
        parse_checkpoint(text)


def test_the_largest_number_is_read_and_the_next_refused() -> None:
    assert read_decimal(str(2**63 - 1), "it") == MAX_NUMBER
    with pytest.raises(Malformed, match="it must be a decimal number"):
        read_decimal(str(2**63), "it")


def test_a_key_signs_and_is_trusted_for_its_own_log_only() -> None:
    other = signer("other.example/log")
    with pytest.raises(OtherOrigin):
        sign_checkpoint(CHECKPOINT, other)
    note = SignedNote(CHECKPOINT.text, (sign_note(CHECKPOINT.text, other),))
    with pytest.raises(InvalidSignature, match=f"no key of the log {ORIGIN}"):
        open_checkpoint(note.encoded, other.verifier, LOG.verifier)


@pytest.mark.parametrize("time", [-1, 2**63, 2**64])
def test_a_time_that_no_cosignature_has_is_refused(time: int) -> None:
    with pytest.raises(Malformed, match="time of a cosignature"):
        cosign(CHECKPOINT.text, WITNESSES[0], time=time)


def test_a_signed_time_of_2_to_the_63_is_refused() -> None:
    key, time = WITNESSES[0], 2**63
    signature = key.sign(f"cosignature/v1\ntime {time}\n{CHECKPOINT.text}".encode())
    line = Signature(key.name, key.verifier.key_id, time.to_bytes(8, "big") + signature)
    with pytest.raises(InvalidSignature, match="below 2"):
        verify_cosignatures(SignedNote(CHECKPOINT.text, (line,)), WITNESS_KEYS)


@pytest.mark.parametrize("length", [1, 7, 8, 64, 71, 73])
def test_a_cosignature_of_another_length_is_refused(length: int) -> None:
    value = (COSIGNED.signatures[1].value * 2)[:length]
    line = Signature(WITNESSES[0].name, WITNESSES[0].verifier.key_id, value)
    with pytest.raises(InvalidSignature):
        verify_cosignatures(SignedNote(CHECKPOINT.text, (line,)), WITNESS_KEYS)


def test_a_witness_cosigns_nothing_but_checkpoints_and_once() -> None:
    with pytest.raises(Malformed):
        cosign("any text\n", WITNESSES[0], time=TIME)
    with pytest.raises(Malformed):
        verify_cosignatures(SignedNote("any text\n", COSIGNED.signatures), [])
    lines = (cosign(CHECKPOINT.text, WITNESSES[0], time=TIME), cosign(CHECKPOINT.text, WITNESSES[0], time=TIME + 1))
    with pytest.raises(InvalidSignature, match="2 times"):
        verify_cosignatures(SignedNote(CHECKPOINT.text, lines), WITNESS_KEYS)


def test_a_log_key_is_no_witness_key_even_with_the_same_name() -> None:
    both = (SignerKey("same", ED25519, bytes(32)), SignerKey("same", COSIGNATURE, bytes(32)))
    assert both[0].verifier.key_id != both[1].verifier.key_id
    with pytest.raises(ValueError, match="type 0x01"):
        cosign(CHECKPOINT.text, both[0], time=TIME)
    with pytest.raises(ValueError, match="type 0x01"):
        verify_cosignatures(COSIGNED, [both[0].verifier])
    plain = Signature("same", both[1].verifier.key_id, both[1].sign(CHECKPOINT.text.encode()))
    with pytest.raises(InvalidSignature):
        verify_cosignatures(SignedNote(CHECKPOINT.text, (plain,)), [both[1].verifier])


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=60), st.integers(0, len(CHECKPOINT.text)))
def test_whatever_a_checkpoint_is_it_is_read_and_written_alike_or_refused(inside: str, place: int) -> None:
    text = CHECKPOINT.text
    for other in (inside, text[:place] + inside + text[place:], text + inside, f"{inside}\n7\n{ROOT}\n"):
        with contextlib.suppress(Malformed):
            assert parse_checkpoint(other).text == other


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="AQgw/+=-_ \n\t\0é", max_size=12) | st.binary(max_size=12).map(write_base64))
def test_base64_is_read_and_written_alike_or_refused(text: str) -> None:
    with contextlib.suppress(Malformed):
        assert write_base64(read_base64(text, "it")) == text

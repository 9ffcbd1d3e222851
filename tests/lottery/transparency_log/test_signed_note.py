"""Keys and signed notes: the examples of the documents, and everything that must be refused."""

import contextlib
import json
from pathlib import Path

import cryptography.exceptions
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given, settings
from hypothesis import strategies as st

from lottery.transparency_log.canonical_text import Malformed
from lottery.transparency_log.note_keys import (
    COSIGNATURE,
    ED25519,
    SignerKey,
    VerifierKey,
    parse_signer_key,
    parse_verifier_key,
)
from lottery.transparency_log.signed_note import (
    MAX_NOTE_BYTES,
    InvalidSignature,
    Signature,
    SignedNote,
    parse_note,
    sign_note,
    verify_note,
)
from signed_logs import LOG, ORIGIN, WITNESSES, bent, flips, signer

EXAMPLE: dict[str, str] = json.loads(Path(__file__).with_name("signed_note.json").read_text())

# The example of the documentation of Go's golang.org/x/mod/sumdb/note
GO_SIGNER = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"
GO_VERIFIER = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
GO_TEXT = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
GO_LINE = (
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)

TEXT = "One line.\n\nA line after an empty one.\n"
NOTE = SignedNote(TEXT, (sign_note(TEXT, LOG),))


def test_the_example_of_the_document_is_verified() -> None:
    key = parse_verifier_key(EXAMPLE["vkey"])
    note = parse_note(EXAMPLE["note"].encode())
    assert verify_note(note, [key]) == (key,)
    assert (note.text, note.encoded.decode()) == ("This is an example message.\n", EXAMPLE["note"])
    assert (key.name, key.type, key.key_id.hex(), key.text) == ("example.com/foo", ED25519, "530d903a", EXAMPLE["vkey"])


def test_a_poem_with_an_empty_line_is_read_to_its_end() -> None:
    poem = "Ognuno sta solo sul cuor della terra\ntrafitto da un raggio di sole:\n\ned è subito sera.\n"
    line = (
        "— quasimodo.example/salvatore "
        "NnugSzTjtVAewIS+Z/iJhUPeFDkO/5QQ2i5ddnGITLlC+EhfLW9oJKONrMouFSQU0xMcXxj99ihAQwaqP3ZekRwNtIc=\n"
    )
    note = parse_note(f"{poem}\n{line}".encode())
    assert note.text == poem
    assert note.signatures[0].name == "quasimodo.example/salvatore"


def test_a_note_is_signed_as_go_signs_it() -> None:
    key = parse_signer_key(GO_SIGNER)
    assert (key.verifier.text, key.secret_text) == (GO_VERIFIER, GO_SIGNER)
    assert sign_note(GO_TEXT, key).line == GO_LINE
    assert verify_note(parse_note(f"{GO_TEXT}\n{GO_LINE}".encode()), [key.verifier]) == (key.verifier,)


def test_a_printed_signer_key_keeps_its_secret() -> None:
    assert str(LOG.seed) not in repr(LOG)
    assert LOG.secret_text.rpartition("+")[2] not in str(LOG)


names = st.text(st.characters(exclude_categories=["Cs", "Cc", "Z"], exclude_characters="+"), min_size=1, max_size=60)
signers = st.builds(SignerKey, names, st.sampled_from([ED25519, COSIGNATURE]), st.binary(min_size=32, max_size=32))
lines = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=40)
texts = st.lists(lines, min_size=1, max_size=5).map(lambda parts: "".join(f"{part}\n" for part in parts))


@settings(max_examples=50, deadline=None)
@given(signers)
def test_keys_are_read_as_they_are_written(key: SignerKey) -> None:
    assert parse_signer_key(key.secret_text) == key
    assert parse_verifier_key(key.verifier.text) == key.verifier


@settings(max_examples=50, deadline=None)
@given(
    texts,
    st.lists(signers.filter(lambda key: key.type == ED25519), min_size=1, max_size=3, unique_by=lambda key: key.name),
)
def test_notes_are_read_as_they_are_written(text: str, keys: list[SignerKey]) -> None:
    note = SignedNote(text, tuple(sign_note(text, key) for key in keys))
    assert parse_note(note.encoded) == note
    verifiers = tuple(key.verifier for key in keys)
    assert verify_note(note, verifiers) == verifiers


def test_every_flipped_bit_of_a_note_is_refused() -> None:
    for flipped in flips(NOTE.encoded):
        with pytest.raises((Malformed, InvalidSignature)):
            verify_note(parse_note(flipped), [LOG.verifier])


def test_every_other_line_end_and_tail_is_refused() -> None:
    for other in bent(NOTE.encoded):
        with pytest.raises((Malformed, InvalidSignature)):
            verify_note(parse_note(other), [LOG.verifier])


@pytest.mark.parametrize("text", [LOG.verifier.text, WITNESSES[0].verifier.text])
def test_every_flipped_bit_of_a_verifier_key_is_refused(text: str) -> None:
    for flipped in flips(text.encode()):
        with pytest.raises(Malformed):
            parse_verifier_key(flipped.decode(errors="surrogateescape"))


def test_every_flipped_bit_of_a_signer_key_is_refused() -> None:
    for flipped in flips(GO_SIGNER.encode()):
        with pytest.raises(Malformed):
            parse_signer_key(flipped.decode(errors="surrogateescape"))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "+",
        "++",
        "name",
        "name+00000000",
        "name+00000000+",
        f" {GO_VERIFIER}",
        f"{GO_VERIFIER}\n",
        GO_VERIFIER.replace("c74f20a3", "C74F20A3"),
        GO_VERIFIER.replace("c74f20a3", "c74f20a4"),
        GO_VERIFIER.replace("PeterNeumann", "Peter Neumann"),
        GO_VERIFIER.replace("PeterNeumann", ""),
        "x" * 400 + GO_VERIFIER,
    ],
)
def test_what_is_no_verifier_key_is_refused(text: str) -> None:
    with pytest.raises(Malformed):
        parse_verifier_key(text)


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\u00a0b", "a\u2028b", "a\nb", "a\x7fb", "\ud800", "x" * 256])
def test_what_names_no_key_is_refused(name: str) -> None:
    with pytest.raises(Malformed, match="a key's name"):
        VerifierKey(name, ED25519, LOG.verifier.public_key)


ORDER_8 = "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"
MINUS_ORDER_8 = "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"


@pytest.mark.parametrize("sign", [0, 0x80])
@pytest.mark.parametrize(
    "point",
    ["01" + "00" * 31, "ec" + "ff" * 30 + "7f", "00" * 32, ORDER_8, MINUS_ORDER_8],
    ids=["order 1", "order 2", "order 4", "order 8", "order 8, negative"],
)
def test_a_key_that_anybody_can_sign_for_is_refused(point: str, sign: int) -> None:
    raw = bytes.fromhex(point)
    key = raw[:31] + bytes([raw[31] | sign])
    if not (sign and point.startswith(("01", "ec"))):
        assert any(anybody_signed(key, str(number).encode()) for number in range(200))
    with pytest.raises(Malformed, match="unsafe"):
        VerifierKey("name", COSIGNATURE, key)


def anybody_signed(key: bytes, message: bytes) -> bool:
    """Return whether a signature that is made without any private key verifies."""
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(b"\x01" + bytes(63), message)
    except cryptography.exceptions.InvalidSignature:
        return False
    return True


@pytest.mark.parametrize("y", [2**255 - 19, 2**255 - 1])
def test_a_second_spelling_of_a_key_is_refused(y: int) -> None:
    with pytest.raises(Malformed, match="unsafe"):
        VerifierKey("name", ED25519, y.to_bytes(32, "little"))


@pytest.mark.parametrize(("type_", "length"), [(0x02, 32), (0x06, 32), (0xFF, 32), (ED25519, 31), (ED25519, 33)])
def test_keys_of_other_types_and_lengths_are_refused(type_: int, length: int) -> None:
    with pytest.raises(Malformed, match=r"signature type|32 bytes"):
        VerifierKey("name", type_, (LOG.verifier.public_key * 2)[:length])


def test_lines_of_unknown_keys_are_ignored_and_do_not_count() -> None:
    stranger = signer("stranger.example")
    namesake = SignerKey(ORIGIN, ED25519, bytes(32))
    note = SignedNote(TEXT, (sign_note(TEXT, stranger), sign_note(TEXT, namesake), sign_note(TEXT, LOG)))
    assert verify_note(note, [LOG.verifier]) == (LOG.verifier,)
    with pytest.raises(InvalidSignature, match="no key that you trust"):
        verify_note(SignedNote(TEXT, note.signatures[:2]), [LOG.verifier])
    with pytest.raises(InvalidSignature, match="no key that you trust"):
        verify_note(note, [])


def test_one_wrong_signature_of_a_known_key_refuses_the_note() -> None:
    other = signer("other.example")
    wrong = Signature(LOG.name, LOG.verifier.key_id, bytes(64))
    note = SignedNote(TEXT, (sign_note(TEXT, other), wrong))
    with pytest.raises(InvalidSignature, match=rf"signature of {ORIGIN} is wrong"):
        verify_note(note, [other.verifier, LOG.verifier])


@pytest.mark.parametrize("length", [1, 63, 65, 72])
def test_a_signature_of_another_length_is_wrong(length: int) -> None:
    value = (sign_note(TEXT, LOG).value * 2)[:length]
    with pytest.raises(InvalidSignature, match="is wrong"):
        verify_note(SignedNote(TEXT, (Signature(LOG.name, LOG.verifier.key_id, value),)), [LOG.verifier])


def test_a_known_key_signs_once() -> None:
    with pytest.raises(InvalidSignature, match="2 times"):
        verify_note(SignedNote(TEXT, NOTE.signatures * 2), [LOG.verifier])


def test_a_witness_key_signs_and_verifies_no_plain_note() -> None:
    with pytest.raises(ValueError, match="type 0x04"):
        sign_note(TEXT, WITNESSES[0])
    with pytest.raises(ValueError, match="type 0x04"):
        verify_note(NOTE, [WITNESSES[0].verifier])


def test_notes_with_16_signatures_are_read_and_with_more_than_100_refused() -> None:
    note = SignedNote(TEXT, NOTE.signatures * 16)
    assert parse_note(note.encoded) == note
    assert len(parse_note(SignedNote(TEXT, NOTE.signatures * 100).encoded).signatures) == 100
    with pytest.raises(Malformed, match="more than 100"):
        parse_note(NOTE.encoded + NOTE.signatures[0].line.encode() * 100)


def test_a_note_of_more_than_a_million_bytes_is_refused() -> None:
    with pytest.raises(Malformed, match="at most 1000000"):
        parse_note(b"x" * MAX_NOTE_BYTES + NOTE.encoded)
    with pytest.raises(Malformed, match="at most 1000000"):
        SignedNote("x" * (MAX_NOTE_BYTES - 5) + "\n", NOTE.signatures)


@pytest.mark.parametrize("text", ["", "no newline", "a\r\n", "a\0\n", "a\tb\n", "\x7f\n", "\x9f\n", "\ud800\n"])
def test_a_text_that_no_note_can_have_is_not_signed(text: str) -> None:
    with pytest.raises(Malformed):
        sign_note(text, LOG)


@pytest.mark.parametrize(
    "lines",
    [
        "",
        "— name\n",
        "— name \n",
        "— name AAAAAA==\n",
        "— name  AAAAAAA=\n",
        "- name AAAAAAA=\n",
        "—\u00a0name AAAAAAA=\n",
        "— na+me AAAAAAA=\n",
        "— name AAAAAAB=\n",
        "— name AAAAAAA\n",
        "— name AAAA AAA=\n",
        "name AAAAAAA=\n",
    ],
)
def test_what_is_no_signature_line_is_refused(lines: str) -> None:
    assert parse_note("text\n\n— name AAAAAAA=\n".encode()).text == "text\n"
    with pytest.raises(Malformed):
        parse_note(f"text\n\n{lines}".encode())


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=80) | texts.map(str.encode), st.binary(max_size=10), st.integers(0, len(NOTE.encoded)))
def test_whatever_a_note_is_it_is_read_and_written_alike_or_refused(start: bytes, inside: bytes, place: int) -> None:
    valid = NOTE.encoded
    for data in (start, start + valid[place:], valid[:place] + inside + valid[place:]):
        try:
            note = parse_note(data)
        except Malformed:
            continue
        assert note.encoded == data


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=40), st.integers(0, len(GO_SIGNER)))
def test_whatever_a_key_is_it_is_read_and_written_alike_or_refused(inside: str, place: int) -> None:
    for text in (inside, GO_SIGNER[:place] + inside + GO_SIGNER[place:], GO_VERIFIER[:place] + inside):
        with contextlib.suppress(Malformed):
            assert parse_verifier_key(text).text == text
        with contextlib.suppress(Malformed):
            assert parse_signer_key(text).secret_text == text

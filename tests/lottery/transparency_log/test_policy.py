"""Policies: the example of the document, quorums, and everything that must be refused."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lottery.transparency_log.canonical_text import Malformed
from lottery.transparency_log.checkpoint import Checkpoint, sign_checkpoint
from lottery.transparency_log.cosignature import Cosignature
from lottery.transparency_log.note_keys import COSIGNATURE, SignerKey, VerifierKey
from lottery.transparency_log.policy import (
    MAX_POLICY_BYTES,
    Group,
    Log,
    Policy,
    QuorumMissed,
    Witness,
    check_checkpoint,
    parse_policy,
)
from lottery.transparency_log.signed_note import InvalidSignature, Signature, SignedNote
from signed_logs import CHECKPOINT, LOG, ORIGIN, TIME, WITNESSES, cosigned_note, flips, policy_text, signer

LOG_KEY = LOG.verifier.text
KEYS = [signer(f"w{number}.example", COSIGNATURE).verifier for number in range(6)]
ONE = f"witness one {KEYS[0].text}\n"
TWO = f"witness two {KEYS[1].text}\n"


def test_a_policy_has_logs_witnesses_groups_and_a_quorum() -> None:
    charters, parents = (witness.verifier for witness in WITNESSES)
    assert parse_policy(policy_text()) == Policy(
        logs=(Log(LOG.verifier, "https://lottery.example/log"),),
        witnesses=(Witness("charters", charters), Witness("parents", parents, "https://parents.example/witness")),
        groups=(Group("both", 2, ("charters", "parents")),),
        quorum="both",
    )


def example_policy() -> tuple[Policy, list[VerifierKey]]:
    """Return the example of C2SP tlog-policy: two of three X-witnesses, and one of three Y-witnesses."""
    lines = [f"log {LOG_KEY}", ""]
    for letter, keys, threshold in (("X", KEYS[:3], "2"), ("Y", KEYS[3:], "any")):
        lines += [f"witness {letter}{number} {key.text}" for number, key in enumerate(keys, start=1)]
        lines += [f"group {letter}-witnesses {threshold} {letter}1 {letter}2 {letter}3", ""]
    lines += ["group X-and-Y all X-witnesses Y-witnesses", "quorum X-and-Y", ""]
    return parse_policy("\n".join(lines).encode()), KEYS


def test_the_quorum_of_the_example_of_the_document_is_two_of_three_and_one_of_three() -> None:
    policy, keys = example_policy()
    for chosen in itertools.product([False, True], repeat=6):
        cosigners = set(itertools.compress(keys, chosen))
        assert policy.is_met_by(cosigners) == (sum(chosen[:3]) >= 2 and any(chosen[3:]))


def test_comments_tabs_spaces_and_empty_lines_are_skipped() -> None:
    text = f"# caf\xe9 \x80\n \t\n\n \t# quorum none\n\t quorum \t none  \nlog\t{LOG_KEY} \n".encode("latin-1")
    assert parse_policy(text) == Policy((Log(LOG.verifier),), (), (), "none")


def test_names_are_compared_octet_by_octet() -> None:
    kelvin, latin = "\N{KELVIN SIGN}".encode(), b"K"
    text = b"witness %s %s\nwitness %s %s\nwitness \xff %s\ngroup \xfe 3 %s %s \xff\nquorum \xfe\n" % (
        kelvin,
        KEYS[0].text.encode(),
        latin,
        KEYS[1].text.encode(),
        KEYS[2].text.encode(),
        kelvin,
        latin,
    )
    assert parse_policy(text).is_met_by(set(KEYS[:3]))
    assert not parse_policy(text).is_met_by(set(KEYS[1:]))


def test_32_logs_witnesses_and_groups_are_read() -> None:
    logs = "".join(f"log {signer(f'log{number}').verifier.text}\n" for number in range(32))
    witnesses = "".join(
        f"witness w{number} {signer(f'w{number}', COSIGNATURE).verifier.text}\n" for number in range(32)
    )
    groups = "".join(f"group g{number} all w{number}\n" for number in range(31))
    policy = parse_policy(f"{logs}{witnesses}{groups}group g31 1 g0 g1\nquorum g31\n".encode())
    assert (len(policy.logs), len(policy.witnesses), len(policy.groups)) == (32, 32, 32)
    assert policy.is_met_by({policy.witnesses[1].key})


def test_groups_in_groups_are_counted_at_any_depth() -> None:
    groups = "".join(f"group g{number + 1} all g{number}\n" for number in range(1, 2000))
    policy = parse_policy(f"{ONE}group g1 all one\n{groups}quorum g2000\n".encode())
    assert policy.is_met_by({KEYS[0]})
    assert not policy.is_met_by({KEYS[1]})


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        f"log {LOG_KEY}\n",
        "quorum none",
        "quorum none\r\n",
        "quorum none\nquorum none\n",
        "quorum\n",
        "quorum none none\n",
        "quorum one\n" + ONE,
        "Quorum none\n",
        "witnesses none\nquorum none\n",
        "quorum\u00a0none\n",
        "quorum none\x0b\n",
        "quorum none\0\n",
        "quorum none\x7f\n",
        f"log {LOG_KEY}\nlog {LOG_KEY}\nquorum none\n",
        f"log {LOG_KEY} url more\nquorum none\n",
        "log\nquorum none\n",
        f"log {KEYS[0].text}\nquorum none\n",
        f"log {LOG_KEY[:-1]}\nquorum none\n",
        f"witness one {LOG_KEY}\nquorum none\n",
        f"witness one {KEYS[0].text} url more\nquorum none\n",
        f"witness none {KEYS[0].text}\nquorum none\n",
        f"witness {KEYS[0].text}\nquorum none\n",
        ONE + f"witness two {KEYS[0].text}\nquorum one\n",
        ONE + f"witness one {KEYS[1].text}\nquorum one\n",
        ONE + f"witness two {VerifierKey('other', COSIGNATURE, KEYS[0].public_key).text}\nquorum one\n",
        ONE + "group one all one\nquorum one\n",
        ONE + "group none all one\nquorum one\n",
        ONE + "group g all\nquorum one\n",
        ONE + "group g\nquorum one\n",
        ONE + "group g all g\nquorum g\n",
        ONE + "group g all none\nquorum g\n",
        ONE + "group g all one one\nquorum g\n",
        ONE + "group g all two\n" + TWO + "quorum g\n",
        ONE + "group g 1 one\ngroup h 1 one\nquorum g\n",
        ONE + TWO + "group g 0 one two\nquorum g\n",
        ONE + TWO + "group g 3 one two\nquorum g\n",
        ONE + TWO + "group g 01 one two\nquorum g\n",
        ONE + TWO + "group g +1 one two\nquorum g\n",
        ONE + TWO + "group g -1 one two\nquorum g\n",
        ONE + TWO + "group g ALL one two\nquorum g\n",
        ONE + TWO + "group g one two\nquorum g\n",
        ONE + TWO + "group g ١ one two\nquorum g\n",
        "#" * MAX_POLICY_BYTES + "\nquorum none\n",
    ],
)
def test_what_is_no_policy_is_refused(text: str) -> None:
    with pytest.raises(Malformed):
        parse_policy(text.encode())


def test_a_refusal_names_the_line() -> None:
    with pytest.raises(Malformed, match=r"^line 3: the line names a witness or group that no earlier line defines"):
        parse_policy(f"# trust\n{ONE}group g all two\nquorum g\n".encode())


def test_a_checkpoint_is_trusted_with_its_log_and_its_witnesses() -> None:
    trusted = check_checkpoint(cosigned_note(), parse_policy(policy_text()))
    assert (trusted.checkpoint, trusted.log) == (CHECKPOINT, LOG.verifier)
    assert trusted.cosignatures == tuple(Cosignature(key.verifier, TIME + at) for at, key in enumerate(WITNESSES))


def test_a_checkpoint_without_its_quorum_is_refused() -> None:
    policy = parse_policy(policy_text())
    for witnesses in ((), WITNESSES[:1], WITNESSES[1:], (WITNESSES[0], signer("stranger", COSIGNATURE))):
        with pytest.raises(QuorumMissed):
            check_checkpoint(cosigned_note(witnesses=witnesses), policy)
    assert check_checkpoint(cosigned_note(witnesses=()), parse_policy(policy_text("none"))).cosignatures == ()
    trusted = check_checkpoint(cosigned_note(witnesses=WITNESSES[1:]), parse_policy(policy_text("parents")))
    assert [cosignature.key for cosignature in trusted.cosignatures] == [WITNESSES[1].verifier]


def test_a_checkpoint_of_an_unknown_log_is_refused() -> None:
    other = signer("other.example/log")
    checkpoint = Checkpoint(other.name, CHECKPOINT.size, CHECKPOINT.root)
    for note in (sign_checkpoint(checkpoint, other), SignedNote(CHECKPOINT.text, cosigned_note().signatures[1:])):
        with pytest.raises(InvalidSignature):
            check_checkpoint(note, parse_policy(policy_text("none")))
    with pytest.raises(InvalidSignature):
        check_checkpoint(cosigned_note(), parse_policy(b"quorum none\n"))


def test_any_of_a_logs_keys_and_logs_is_trusted() -> None:
    new = SignerKey(ORIGIN, LOG.type, bytes(32))
    other = signer("other.example/log")
    lines = "".join(f"log {key.verifier.text}\n" for key in (new, other, LOG))
    policy = parse_policy(f"{lines}quorum none\n".encode())
    for key in (new, other, LOG):
        checkpoint = Checkpoint(key.name, CHECKPOINT.size, CHECKPOINT.root)
        assert check_checkpoint(sign_checkpoint(checkpoint, key), policy).log == key.verifier


def test_a_wrong_cosignature_refuses_even_where_the_quorum_does_not_need_it() -> None:
    wrong = Signature(WITNESSES[0].name, WITNESSES[0].verifier.key_id, bytes(72))
    good = cosigned_note(witnesses=WITNESSES[1:])
    with pytest.raises(InvalidSignature, match="cosignature of charters"):
        check_checkpoint(SignedNote(good.text, (*good.signatures, wrong)), parse_policy(policy_text("parents")))


def test_a_flipped_bit_of_a_policy_never_trusts_another_key_or_fewer_witnesses() -> None:
    policy = parse_policy(policy_text())
    for flipped in flips(policy_text()):
        try:
            other = parse_policy(flipped)
        except Malformed:
            continue
        assert [log.key for log in other.logs] in ([LOG.verifier], [])
        assert {witness.key for witness in other.witnesses} <= {witness.key for witness in policy.witnesses}
        assert other.quorum == policy.quorum or other.groups != policy.groups


pieces = st.sampled_from(["log", "witness", "group", "quorum", "none", "a", "b", "all", "any", "1", "2", "#", "\t"])
keys = st.sampled_from([LOG_KEY, KEYS[0].text, KEYS[1].text])
policy_lines = st.lists(st.lists(pieces | keys, max_size=6).map(" ".join), max_size=8)


@settings(max_examples=300, deadline=None)
@given(policy_lines.map(lambda lines: "".join(f"{line}\n" for line in lines).encode()) | st.binary(max_size=60))
def test_whatever_a_policy_is_it_is_read_or_refused(data: bytes) -> None:
    for text in (data, ONE.encode() + data, data + b"quorum none\n"):
        try:
            policy = parse_policy(text)
        except Malformed:
            continue
        assert policy.is_met_by({witness.key for witness in policy.witnesses})


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_more_cosigners_never_lose_a_quorum(data: st.DataObject) -> None:
    policy, keys = example_policy()
    fewer = data.draw(st.sets(st.sampled_from(keys)))
    more = fewer | data.draw(st.sets(st.sampled_from(keys)))
    assert policy.is_met_by(more) >= policy.is_met_by(fewer)

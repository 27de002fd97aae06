"""Properties of labels and selectors, addresses, paging and the request budget."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hetzner_k3s.lab.cloud.addresses import PublicPool, first_free_subnet, gateway_of, lowest_free
from hetzner_k3s.lab.cloud.requests.labels import SelectorSyntaxError, is_valid_key, is_valid_value, parse_selector
from hetzner_k3s.lab.cloud.requests.paging import Query, paginate
from hetzner_k3s.lab.cloud.requests.ratelimit import Bucket

WORDS = st.from_regex(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,8}[A-Za-z0-9])?", fullmatch=True)
KEYS = st.one_of(WORDS, st.builds("hetzner-k3s/{}".format, WORDS))
LABELS = st.dictionaries(KEYS, st.one_of(st.just(""), WORDS), max_size=4)
NETWORK = ipaddress.IPv4Network("10.0.0.0/16")


@given(LABELS)
def test_labels_match_their_own_selector(labels: dict[str, str]) -> None:
    for key, value in labels.items():
        assert is_valid_key(key)
        assert is_valid_value(value)
        assert parse_selector(f"{key}={value}").matches(labels)
        assert not parse_selector(f"{key}!={value}").matches(labels)
        assert parse_selector(f" {key} in ( other , {value} ) ").matches(labels)
    whole = ",".join(f"{key}=={value}" for key, value in labels.items())
    assert not whole or parse_selector(whole).matches(labels)


@given(KEYS, WORDS, LABELS)
def test_negations_are_complements(key: str, value: str, labels: dict[str, str]) -> None:
    for positive, negative in (
        (key, f"!{key}"),
        (f"{key}={value}", f"{key}!={value}"),
        (f"{key} in ({value})", f"{key} notin ({value})"),
    ):
        assert parse_selector(positive).matches(labels) != parse_selector(negative).matches(labels)


@given(st.text(alphabet="ab/=!(), in-._", max_size=20))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        parse_selector(text).matches({"a": "b"})
    except SelectorSyntaxError:
        return


@pytest.mark.parametrize("text", ["", "a=b,", ",", "a in b", "a in ()x", "a==b==c", "!", "a=b c", "=b", "a/b/c", "ä"])
def test_wrong_selectors(text: str) -> None:
    with pytest.raises(SelectorSyntaxError):
        parse_selector(text)


@pytest.mark.parametrize(
    ("key", "valid"),
    [
        ("hetzner-k3s/phase", True),
        ("a" * 63, True),
        ("a" * 64, False),
        ("p" * 253 + "/a", False),  # one DNS label of 253 characters fits, 254 do not
        ("hetzner.cloud/a", False),
        ("UPPER.case/a", False),
        ("-a", False),
        ("a\n", False),
        ("", False),
    ],
)
def test_keys(key: str, valid: bool) -> None:
    if key.startswith("ppp"):
        assert is_valid_key(key)
        assert not is_valid_key("p" + key)
    else:
        assert is_valid_key(key) is valid


@given(st.sets(st.integers(0, 30), max_size=20), st.sampled_from(["10.0.0.0/16", "10.0.0.0/27", "10.0.1.0/28"]))
def test_the_lowest_free_address_is_free_and_no_lower_one_is(taken: set[int], subnet_text: str) -> None:
    subnet = ipaddress.IPv4Network(subnet_text)
    used = {subnet.network_address + offset for offset in taken}
    address = lowest_free(subnet, NETWORK, used)
    assert address is None or (address in subnet and address not in used and address != gateway_of(NETWORK))
    end = address or subnet.broadcast_address
    lower = set(range(int(subnet.network_address) + 1, int(end)))
    assert lower <= {int(ip) for ip in (*used, gateway_of(NETWORK))}


def test_the_first_addresses_are_those_of_the_vendor() -> None:
    assert str(lowest_free(NETWORK, NETWORK, ())) == "10.0.0.2"
    assert str(lowest_free(ipaddress.IPv4Network("10.0.1.0/24"), NETWORK, ())) == "10.0.1.1"
    assert str(first_free_subnet(NETWORK, [ipaddress.IPv4Network("10.0.0.0/24")])) == "10.0.1.0/24"


@given(st.lists(st.one_of(st.none(), st.integers(0, 20)), max_size=60))
def test_public_addresses_are_given_once_and_the_lowest_first(orders: list[int | None]) -> None:
    """None takes an address, a number gives the one at that place of those held back."""
    pool = PublicPool()
    held: list[str] = []
    for order in orders:
        if order is None:
            address = pool.take_ipv4()
            assert address not in held
            free = {f"198.51.100.{10 + offset}" for offset in range(len(held) + 1)} - set(held)
            assert int(ipaddress.ip_address(address)) == min(int(ipaddress.ip_address(text)) for text in free)
            held.append(address)
        elif held:
            pool.free_ipv4(held.pop(order % len(held)))


@given(st.integers(0, 200), st.integers(1, 80))
def test_following_next_pages_gives_everything_once(total: int, per_page: int) -> None:
    items, page = list(range(total)), 1
    seen: list[int] = []
    while True:
        shown, pagination = paginate(items, Query((("page", str(page)), ("per_page", str(per_page)))))
        seen += shown
        assert len(shown) <= min(per_page, 50)
        assert pagination.total == total
        if pagination.next is None:
            break
        page = pagination.next
    assert seen == items
    assert pagination.last == page


@given(st.lists(st.floats(0, 5), max_size=60))
def test_a_budget_never_gives_more_than_its_burst_and_refill(waits: list[float]) -> None:
    now = [0.0]
    bucket = Bucket(10, lambda: now[0])
    taken = 0
    for wait in waits:
        now[0] += wait
        taken += bucket.take()
        headers = bucket.headers()
        assert 0 <= int(headers["RateLimit-Remaining"]) <= 10
        assert int(headers["RateLimit-Reset"]) >= now[0]
    assert taken <= 10 + now[0] * 10 / 3600 + 1e-6

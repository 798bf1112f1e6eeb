"""Requests at a steady rate while eight peers are killed, blackholed, slowed and brought back."""
# ctest: timeout=120

import collections

import failover
import pytest

REQUESTS, EACH_SECOND = 1000, 60
# A peer that has acknowledged a request may be at work on it: only after 10 s another one is asked.
LONGEST_SECONDS = 13


def tell(report):
    kinds = collections.Counter(what for _, what, _ in report["events"])
    return {key: report[key] for key in ("failures", "causes", "failed_connects", "delayed", "longest")}, kinds


def test_through_the_relay_no_request_fails(lab):
    lab.start_authority()
    lab.start_resolver(redirect="relay")
    report = failover.run(lab, REQUESTS, EACH_SECOND, retries=0, seed=1)
    assert report["requests"] == REQUESTS
    assert report["failures"] == 0, tell(report)
    assert report["longest"] < LONGEST_SECONDS, tell(report)


def test_in_the_kernel_no_request_fails_either(lab):
    if not lab.make_cgroup():
        pytest.skip("no second version of cgroups to make a group in")
    lab.start_authority()
    lab.start_resolver(redirect="kernel", cgroup=lab.cgroup)
    report = failover.run(lab, REQUESTS, EACH_SECOND, retries=0, seed=2)
    assert report["requests"] == REQUESTS
    assert report["failures"] == 0, tell(report)
    assert report["longest"] < LONGEST_SECONDS, tell(report)
    assert lab.control(command="status")["result"]["handed_over"] > 0

"""The bound: the same logs fetched and thrown away. Nobody who reads the chain by this node can be faster.

It is a program of its own, ``python -m benchmarks.ingest.fetching URL FIRST LAST BLOCKS``: as many answers are under
way as serve the node best, each of about 2 000 logs, and none is parsed.
"""

import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import repeat
from typing import Final

import msgspec
import urllib3
from benchmarks.ingest.chain import CONTRACT, TRANSFER

WINDOW: Final = 4


def main() -> None:
    """Fetch, and print how many bytes it was."""
    url, first, last, blocks = sys.argv[1], *map(int, sys.argv[2:5])
    starts = range(first, last + 1, blocks)
    ends = [min(start + blocks - 1, last) for start in starts]
    with ThreadPoolExecutor(WINDOW) as threads, urllib3.PoolManager(maxsize=WINDOW) as pool:
        print(sum(threads.map(fetch, repeat(pool), repeat(url), starts, ends)))


def fetch(pool: urllib3.PoolManager, url: str, first: int, last: int) -> int:
    """Fetch one range and return the answer's length in bytes."""
    wanted = {"fromBlock": hex(first), "toBlock": hex(last), "address": CONTRACT, "topics": [TRANSFER]}
    call = {"jsonrpc": "2.0", "id": 1, "method": "eth_getLogs", "params": [wanted]}
    answer = pool.request("POST", url, body=msgspec.json.encode(call), headers={"content-type": "application/json"})
    assert b'"result":[' in answer.data[:200], answer.data[:200]
    return len(answer.data)


if __name__ == "__main__":
    main()

"""Write the contract's logs of a range to Parquet files: freeze.py URL FIRST LAST BLOCKS_A_CALL DIRECTORY."""

import sys

import cryo  # type: ignore[import-not-found]  # it is installed into a folder of its own

url, first, last, blocks, directory = sys.argv[1:]
done = cryo.freeze(
    "logs",
    blocks=[f"{first}:{int(last) + 1}"],
    rpc=url,
    output_dir=directory,
    contract=["0x5fbdb2315678afecb367f032d93f642f64180aa3"],
    inner_request_size=int(blocks),
    no_report=True,
    verbose=False,
)
sys.exit(0 if done["n_errored"] == 0 else f"{done}")

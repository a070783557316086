// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.20;

/// The load of `make bench-ingest`: ERC-20 transfers among 2 000 accounts, and nothing but them.
///
/// It keeps no balances: the chain shall be quick to make, and it is the indexers that are measured. What transfer
/// number c says follows from c alone, so the balances that everybody must arrive at can be computed beside.
contract Transfers {
    event Transfer(address indexed from, address indexed to, uint256 value);

    uint256 public count;

    function emitTransfers(uint256 n) external {
        uint256 c = count;
        for (uint256 end = c + n; c < end; c++) {
            uint256 h = uint256(keccak256(abi.encodePacked(c)));
            emit Transfer(_account(h), _account(h >> 64), (h >> 128) % 1e24 + 1);
        }
        count = c;
    }

    function _account(uint256 h) private pure returns (address) {
        return address(uint160(uint256(0x00ACC0000000000000000000000000000000000000) + (h % 2000) * 0x10000000001));
    }
}

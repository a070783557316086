// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {ERC4626} from "@openzeppelin/contracts/token/ERC20/extensions/ERC4626.sol";

/// @title A yield vault for local chains
/// @notice It earns when somebody transfers the asset to it: all shares are then worth more.
contract YieldVaultStandIn is ERC4626 {
    constructor(IERC20 asset_) ERC20("Yield vault (stand-in)", "YV") ERC4626(asset_) {}

    /// @dev A base unit of the asset is a million shares at first. So a gift to the empty vault cannot round the first
    ///      deposit's shares down to none.
    function _decimalsOffset() internal pure override returns (uint8) {
        return 6;
    }
}

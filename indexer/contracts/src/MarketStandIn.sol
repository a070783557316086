// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {AccessControl} from "@openzeppelin/contracts/access/AccessControl.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";

/// @title A market for local chains: sells the DN that it was endowed with, at prices that its admin sets
/// @notice No pool, no slippage and no fee; a price changes between two blocks, as a real one does.
contract MarketStandIn is AccessControl {
    using SafeERC20 for IERC20;

    /// @notice A price is for so many base units of what is paid: for USDC, for one dollar.
    uint256 public constant PRICE_UNIT = 1_000_000;

    error NoPrice(address assetIn);
    error BelowMinimum(uint256 dnOut, uint256 minOut);

    IERC20 public immutable dn;

    /// @notice Base units of DN for PRICE_UNIT base units of an asset; 0 if it is not bought.
    mapping(address assetIn => uint256) public priceOf;

    constructor(address admin, IERC20 dn_) {
        _grantRole(DEFAULT_ADMIN_ROLE, admin);
        dn = dn_;
    }

    /// @notice Sets how much DN `assetIn` buys.
    function setPrice(address assetIn, uint256 price) external onlyRole(DEFAULT_ADMIN_ROLE) {
        priceOf[assetIn] = price;
    }

    /// @notice Takes `amountIn` of `assetIn` from the caller (allowance needed) and sends at least `minOut` DN back.
    function swap(address assetIn, uint256 amountIn, uint256 minOut) external returns (uint256 dnOut) {
        uint256 price = priceOf[assetIn];
        if (price == 0) revert NoPrice(assetIn);
        dnOut = amountIn * price / PRICE_UNIT;
        if (dnOut < minOut) revert BelowMinimum(dnOut, minOut);
        IERC20(assetIn).safeTransferFrom(msg.sender, address(this), amountIn);
        dn.safeTransfer(msg.sender, dnOut);
    }
}

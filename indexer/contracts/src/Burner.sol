// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {AccessControl} from "@openzeppelin/contracts/access/AccessControl.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {DNToken} from "./DNToken.sol";
import {MarketStandIn} from "./MarketStandIn.sol";

/// @title Where the buyback and variable-burn legs become DN that no longer exists
/// @notice Accrual (a transfer into this contract), swap and burn are three different steps, each with its own log. Fed by
///         plain transfers; nothing leaves but to the market, for DN, or by being burned.
contract Burner is AccessControl {
    using SafeERC20 for IERC20;

    /// @notice Who holds this role swaps and burns.
    bytes32 public constant KEEPER_ROLE = keccak256("KEEPER_ROLE");
    /// @notice The sources of the two legs of revenue; a burn may name another.
    bytes32 public constant SOURCE_BUYBACK = "buyback";
    bytes32 public constant SOURCE_VARIABLE_BURN = "variableBurn";

    event BuybackExecuted(
        bytes32 indexed batch, address indexed assetIn, uint256 amountIn, uint256 dnOut, uint256 minOut
    );
    event DNBurned(bytes32 indexed source, bytes32 indexed ref, uint256 amount);

    error ZeroAmount();
    error BatchExists(bytes32 batch);
    error BelowMinimum(uint256 dnOut, uint256 minOut);

    DNToken public immutable dn;
    MarketStandIn public immutable market;

    mapping(bytes32 batch => bool) public isExecuted;

    constructor(address admin, DNToken dn_, MarketStandIn market_) {
        _grantRole(DEFAULT_ADMIN_ROLE, admin);
        dn = dn_;
        market = market_;
    }

    /// @notice Swaps `amountIn` of `assetIn` for at least `minOut` DN, which stays here to be burned. A batch is used once.
    /// @dev What the swap brought is what arrived here, whatever the market says.
    function executeBuyback(bytes32 batch, address assetIn, uint256 amountIn, uint256 minOut)
        external
        onlyRole(KEEPER_ROLE)
    {
        if (amountIn == 0) revert ZeroAmount();
        if (isExecuted[batch]) revert BatchExists(batch);
        isExecuted[batch] = true;
        uint256 before = dn.balanceOf(address(this));
        IERC20(assetIn).forceApprove(address(market), amountIn);
        market.swap(assetIn, amountIn, minOut);
        uint256 dnOut = dn.balanceOf(address(this)) - before;
        if (dnOut < minOut) revert BelowMinimum(dnOut, minOut);
        emit BuybackExecuted(batch, assetIn, amountIn, dnOut, minOut);
    }

    /// @notice Burns `amount` of the DN that is here. `source` says which leg it came by, `ref` what it belongs to.
    function burn(bytes32 source, bytes32 ref, uint256 amount) external onlyRole(KEEPER_ROLE) {
        if (amount == 0) revert ZeroAmount();
        emit DNBurned(source, ref, amount);
        dn.burn(amount);
    }
}

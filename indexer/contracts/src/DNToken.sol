// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {AccessControl} from "@openzeppelin/contracts/access/AccessControl.sol";
import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ERC20Burnable} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Burnable.sol";

/// @title DN, the token in which collateral is held and registration fees are paid
/// @notice 18 decimals. Supply changes only by a mint (Transfer from 0x0) or a burn (Transfer to 0x0), so the sum of all
///         Transfer logs always gives the supply.
contract DNToken is ERC20, ERC20Burnable, AccessControl {
    /// @notice Who holds this role may create new DN.
    bytes32 public constant MINTER_ROLE = keccak256("MINTER_ROLE");

    constructor(address admin) ERC20("DeepNode", "DN") {
        _grantRole(DEFAULT_ADMIN_ROLE, admin);
    }

    /// @notice Creates `amount` base units for `to`.
    function mint(address to, uint256 amount) external onlyRole(MINTER_ROLE) {
        _mint(to, amount);
    }
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {AccessControl} from "@openzeppelin/contracts/access/AccessControl.sol";

/// @title The numbers by which the marketplace runs, and the ruleset that says how they are used
/// @notice A parameter is a word under (scope, key). The scope is a domain, or zero for all of them. The chain keeps no
///         epochs: `effectiveAt` and `fromEpoch` tell the readers of these events from which epoch on to use what they say,
///         and it is the readers who refuse an epoch that has begun.
contract Parameters is AccessControl {
    /// @notice Who holds this role sets parameters and activates rulesets (the Governance contract; by hand in phase 1).
    bytes32 public constant GOVERNOR_ROLE = keccak256("GOVERNOR_ROLE");

    event ParamSet(
        bytes32 indexed scope,
        bytes32 indexed key,
        uint256 old,
        uint256 new_,
        uint64 effectiveAt,
        bytes32 indexed proposal
    );
    event RulesetActivated(uint32 indexed version, bytes32 specHash, uint64 fromEpoch);

    error VersionOutOfOrder(uint32 version, uint32 expected);
    error ZeroHash();

    /// @notice The value set last, zero if none was; it may not be effective yet.
    mapping(bytes32 scope => mapping(bytes32 key => uint256 value)) public valueOf;
    /// @notice The version of the ruleset activated last; versions count from 1.
    uint32 public rulesetVersion;

    constructor(address admin) {
        _grantRole(DEFAULT_ADMIN_ROLE, admin);
    }

    /// @notice Sets a parameter from the epoch `effectiveAt` on.
    /// @param proposal the proposal that was passed, or zero where a governor acts by hand.
    function set(bytes32 scope, bytes32 key, uint256 value, uint64 effectiveAt, bytes32 proposal)
        external
        onlyRole(GOVERNOR_ROLE)
    {
        uint256 old = valueOf[scope][key];
        valueOf[scope][key] = value;
        emit ParamSet(scope, key, old, value, effectiveAt, proposal);
    }

    /// @notice Puts the next ruleset into force from `fromEpoch` on; `specHash` is the hash of its text.
    function activateRuleset(uint32 version, bytes32 specHash, uint64 fromEpoch) external onlyRole(GOVERNOR_ROLE) {
        uint32 expected = rulesetVersion + 1;
        if (version != expected) revert VersionOutOfOrder(version, expected);
        if (specHash == bytes32(0)) revert ZeroHash();
        rulesetVersion = version;
        emit RulesetActivated(version, specHash, fromEpoch);
    }
}

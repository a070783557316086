// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Domains} from "./Domains.sol";

/// @title The models of the marketplace: who made them and what share of revenue they claim
/// @notice The rates are set at registration and never change: b for the creator, a for the backers, x = a + b.
contract Models {
    uint8 public constant STATUS_REGISTERED = 1;
    uint8 public constant STATUS_ACTIVE = 2;
    uint8 public constant STATUS_PAUSED = 3;
    /// @notice Retired is final.
    uint8 public constant STATUS_RETIRED = 4;
    uint32 private constant PPM = 1_000_000;

    struct Model {
        bytes32 domain;
        address creator;
        uint32 a;
        uint32 b;
        uint8 status;
        uint32 version;
    }

    event ModelRegistered(
        bytes32 indexed model,
        bytes32 indexed domain,
        address indexed creator,
        uint32 a,
        uint32 b,
        uint32 x,
        bytes32 metaHash
    );
    event ModelVersionPublished(bytes32 indexed model, uint32 version, bytes32 hash);
    event ModelStatusChanged(bytes32 indexed model, uint8 old, uint8 new_);

    error ModelExists(bytes32 model);
    error UnknownModel(bytes32 model);
    error NotCreator(bytes32 model, address caller, address creator);
    error RatesDisagree(uint32 a, uint32 b, uint32 x);
    error RateAboveOne(uint32 x);
    error StatusRefused(bytes32 model, uint8 old, uint8 next);

    Domains public immutable domains;

    mapping(bytes32 model => Model) private _models;

    constructor(Domains domains_) {
        domains = domains_;
    }

    /// @notice Registers `model` in `domain`; the caller becomes its creator. Its status is "registered" until changed.
    function register(bytes32 model, bytes32 domain, uint32 a, uint32 b, uint32 x, bytes32 metaHash) external {
        domains.ownerOf(domain);
        if (_models[model].creator != address(0)) revert ModelExists(model);
        // In uint256, so that a + b cannot wrap around before it is compared.
        if (uint256(a) + uint256(b) != x) revert RatesDisagree(a, b, x);
        if (x > PPM) revert RateAboveOne(x);
        _models[model] = Model({
            domain: domain,
            creator: msg.sender,
            a: a,
            b: b,
            status: STATUS_REGISTERED,
            version: 0
        });
        emit ModelRegistered(model, domain, msg.sender, a, b, x, metaHash);
    }

    /// @notice Publishes the next version of the caller's `model`; versions count from 1.
    function publishVersion(bytes32 model, bytes32 hash) external {
        Model storage entry = _owned(model);
        entry.version += 1;
        emit ModelVersionPublished(model, entry.version, hash);
    }

    /// @notice Changes the status of the caller's `model`.
    function setStatus(bytes32 model, uint8 next) external {
        Model storage entry = _owned(model);
        uint8 old = entry.status;
        if (old == STATUS_RETIRED || next == old || next < STATUS_ACTIVE || next > STATUS_RETIRED) {
            revert StatusRefused(model, old, next);
        }
        entry.status = next;
        emit ModelStatusChanged(model, old, next);
    }

    /// @notice The registration of `model`; reverts if there is none.
    function modelOf(bytes32 model) external view returns (Model memory entry) {
        entry = _models[model];
        if (entry.creator == address(0)) revert UnknownModel(model);
    }

    function _owned(bytes32 model) private view returns (Model storage entry) {
        entry = _models[model];
        if (entry.creator == address(0)) revert UnknownModel(model);
        if (msg.sender != entry.creator) revert NotCreator(model, msg.sender, entry.creator);
    }
}

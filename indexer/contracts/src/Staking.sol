// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {DNToken} from "./DNToken.sol";
import {Domains} from "./Domains.sol";
import {Models} from "./Models.sol";
import {Nodes} from "./Nodes.sol";

/// @title The DN that people stake upon validators, miners, models and domains
/// @notice Stake is in one of two kinds of pocket per (staker, target): staked, or unbonding on its way out. The contract's
///         DN balance is their sum, plus what somebody sent here without being asked. Nobody but its staker moves a stake:
///         there is no role, no slashing and no fee.
/// @dev A share is one base unit of DN, as stake neither grows nor shrinks by itself. That a target exists is asked when
///      stake comes to it and never when it leaves, so stake can outlive the activity of its target but not be held by it.
contract Staking {
    using SafeERC20 for DNToken;

    uint8 public constant TARGET_VALIDATOR = 1;
    uint8 public constant TARGET_MINER = 2;
    uint8 public constant TARGET_MODEL = 3;
    uint8 public constant TARGET_DOMAIN = 4;
    uint32 private constant PPM = 1_000_000;

    struct Unbonding {
        uint256 amount;
        uint64 unlockAt;
    }

    event Staked(
        address indexed staker, uint8 targetType, bytes32 indexed target, uint256 amount, uint256 shares
    );
    event UnstakeRequested(
        address indexed staker,
        uint8 targetType,
        bytes32 indexed target,
        uint256 amount,
        uint256 shares,
        uint64 unlockAt
    );
    event Unstaked(address indexed staker, uint8 targetType, bytes32 indexed target, uint256 amount);
    event Redelegated(
        address indexed staker,
        bytes32 indexed from,
        bytes32 indexed to,
        uint8 fromType,
        uint8 toType,
        uint256 amount,
        uint256 shares
    );
    event CommissionSet(bytes32 indexed target, uint32 old, uint32 new_, uint64 fromEpoch);

    error ZeroAmount();
    error UnknownTargetType(uint8 targetType);
    error WrongRole(bytes32 node, uint8 role, uint8 expected);
    error SameTarget(uint8 targetType, bytes32 target);
    error InsufficientStake(address staker, bytes32 target, uint256 wanted, uint256 staked);
    error NothingUnbonding(address staker, bytes32 target);
    error StillLocked(address staker, bytes32 target, uint256 time, uint64 unlockAt);
    error NotOperator(bytes32 node, address caller, address operator);
    error CommissionAboveOne(uint32 rate);

    DNToken public immutable dn;
    Nodes public immutable nodes;
    Models public immutable models;
    Domains public immutable domains;
    /// @notice How long stake is unbonding; voting lasts no longer, so that no DN votes twice by changing hands.
    uint64 public immutable unbondingSeconds;

    /// @notice What a staker has upon all targets together: the weight of a vote. What is unbonding does not count.
    mapping(address staker => uint256 amount) public stakeOf;
    /// @notice What is staked upon a target by everybody.
    mapping(uint8 targetType => mapping(bytes32 target => uint256 amount)) public stakeUpon;
    mapping(address staker => mapping(uint8 targetType => mapping(bytes32 target => uint256 amount))) public stakeOn;
    mapping(address staker => mapping(uint8 targetType => mapping(bytes32 target => Unbonding))) public unbondingOf;
    /// @notice The commission that a validator announced last, in ppm of its delegators' rewards.
    mapping(bytes32 node => uint32 rate) public commissionOf;
    uint256 public totalStaked;
    uint256 public totalUnbonding;

    constructor(DNToken dn_, Nodes nodes_, Models models_, Domains domains_, uint64 unbondingSeconds_) {
        dn = dn_;
        nodes = nodes_;
        models = models_;
        domains = domains_;
        unbondingSeconds = unbondingSeconds_;
    }

    /// @notice Stakes `amount` of the caller's DN upon a target (allowance needed).
    function stake(uint8 targetType, bytes32 target, uint256 amount) external {
        if (amount == 0) revert ZeroAmount();
        _requireTarget(targetType, target);
        _add(targetType, target, amount);
        emit Staked(msg.sender, targetType, target, amount, amount);
        dn.safeTransferFrom(msg.sender, address(this), amount);
    }

    /// @notice Takes `amount` of the caller's stake from a target and starts its unbonding. A request that is made while
    ///         another one is unbonding joins it, and both then wait until the later time.
    function requestUnstake(uint8 targetType, bytes32 target, uint256 amount) external {
        _remove(targetType, target, amount);
        Unbonding storage unbonding = unbondingOf[msg.sender][targetType][target];
        uint64 unlockAt = uint64(block.timestamp) + unbondingSeconds;
        unbonding.amount += amount;
        unbonding.unlockAt = unlockAt;
        totalUnbonding += amount;
        emit UnstakeRequested(msg.sender, targetType, target, amount, amount, unlockAt);
    }

    /// @notice Pays the caller all that has unbonded from a target, once its time has come.
    function unstake(uint8 targetType, bytes32 target) external {
        Unbonding memory unbonding = unbondingOf[msg.sender][targetType][target];
        if (unbonding.amount == 0) revert NothingUnbonding(msg.sender, target);
        if (block.timestamp < unbonding.unlockAt) {
            revert StillLocked(msg.sender, target, block.timestamp, unbonding.unlockAt);
        }
        delete unbondingOf[msg.sender][targetType][target];
        totalUnbonding -= unbonding.amount;
        emit Unstaked(msg.sender, targetType, target, unbonding.amount);
        dn.safeTransfer(msg.sender, unbonding.amount);
    }

    /// @notice Moves `amount` of the caller's stake from one target to another, at once: no DN leaves the contract.
    function redelegate(uint8 fromType, bytes32 from, uint8 toType, bytes32 to, uint256 amount) external {
        if (fromType == toType && from == to) revert SameTarget(toType, to);
        _requireTarget(toType, to);
        _remove(fromType, from, amount);
        _add(toType, to, amount);
        emit Redelegated(msg.sender, from, to, fromType, toType, amount, amount);
    }

    /// @notice Announces what the validator `node` keeps of its delegators' rewards, in ppm, from `fromEpoch` on.
    function setCommission(bytes32 node, uint32 rate, uint64 fromEpoch) external {
        _requireTarget(TARGET_VALIDATOR, node);
        address operator = nodes.nodeOf(node).operator;
        if (msg.sender != operator) revert NotOperator(node, msg.sender, operator);
        if (rate > PPM) revert CommissionAboveOne(rate);
        uint32 old = commissionOf[node];
        commissionOf[node] = rate;
        emit CommissionSet(node, old, rate, fromEpoch);
    }

    function _add(uint8 targetType, bytes32 target, uint256 amount) private {
        stakeOn[msg.sender][targetType][target] += amount;
        stakeUpon[targetType][target] += amount;
        stakeOf[msg.sender] += amount;
        totalStaked += amount;
    }

    function _remove(uint8 targetType, bytes32 target, uint256 amount) private {
        if (amount == 0) revert ZeroAmount();
        uint256 staked = stakeOn[msg.sender][targetType][target];
        if (amount > staked) revert InsufficientStake(msg.sender, target, amount, staked);
        stakeOn[msg.sender][targetType][target] = staked - amount;
        stakeUpon[targetType][target] -= amount;
        stakeOf[msg.sender] -= amount;
        totalStaked -= amount;
    }

    function _requireTarget(uint8 targetType, bytes32 target) private view {
        if (targetType == TARGET_VALIDATOR || targetType == TARGET_MINER) {
            uint8 role = nodes.nodeOf(target).role;
            uint8 expected = targetType == TARGET_VALIDATOR ? nodes.ROLE_VALIDATOR() : nodes.ROLE_MINER();
            if (role != expected) revert WrongRole(target, role, expected);
        } else if (targetType == TARGET_MODEL) {
            models.modelOf(target);
        } else if (targetType == TARGET_DOMAIN) {
            domains.ownerOf(target);
        } else {
            revert UnknownTargetType(targetType);
        }
    }
}

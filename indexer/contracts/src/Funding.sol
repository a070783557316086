// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {AccessControl} from "@openzeppelin/contracts/access/AccessControl.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IERC4626} from "@openzeppelin/contracts/interfaces/IERC4626.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {Models} from "./Models.sol";

/// @title Rounds in which backers pay for a model's development
/// @notice The money of a round that reaches its target goes to its creator, as the foundation releases it; that of one
///         which misses it goes back to its backers. What waits for its release may earn in a vault. The contract's USDC
///         balance is the sum of all rounds' idle money, plus what somebody sent here without being asked.
/// @dev Per round idle = raised + returned - released - refunded - lent. Only money of a round that reached its target is
///      lent, so a refund never waits for the vault, which is trusted: it is chosen once, when this contract is created.
contract Funding is AccessControl {
    using SafeERC20 for IERC20;

    /// @notice Who holds this role releases funds to creators.
    bytes32 public constant FOUNDATION_ROLE = keccak256("FOUNDATION_ROLE");
    /// @notice Who holds this role lends idle money to the vault and takes it back.
    bytes32 public constant TREASURER_ROLE = keccak256("TREASURER_ROLE");

    struct Round {
        bytes32 model;
        address creator;
        uint64 deadline; // in seconds; the last moment to back the round
        uint256 target;
        uint256 raised;
        uint256 released;
        uint256 refunded;
        uint256 lent; // assets that went into the vault, in all
        uint256 returned; // assets that came back from it, gain included
        uint256 vaultShares;
    }

    event RoundOpened(
        bytes32 indexed round,
        bytes32 indexed model,
        address indexed creator,
        uint256 target,
        uint64 deadline,
        bytes32 termsHash
    );
    event Backed(bytes32 indexed round, address indexed backer, uint256 amount, uint256 shares);
    event FundsReleased(bytes32 indexed round, address indexed creator, uint256 amount);
    event Refunded(bytes32 indexed round, address indexed backer, uint256 amount);
    event YieldDeposited(bytes32 indexed round, address indexed vault, uint256 assets, uint256 shares);
    event YieldWithdrawn(bytes32 indexed round, address indexed vault, uint256 assets, uint256 shares);
    event BackerShareTransferred(bytes32 indexed round, address indexed from, address indexed to, uint256 shares);

    error ZeroAmount();
    error ZeroAddress();
    error RoundExists(bytes32 round);
    error UnknownRound(bytes32 round);
    error NotCreator(bytes32 model, address caller, address creator);
    error DeadlinePassed(uint256 time, uint64 deadline);
    error DeadlineNotPassed(uint256 time, uint64 deadline);
    error AboveTarget(bytes32 round, uint256 amount, uint256 left);
    error TargetNotReached(bytes32 round, uint256 raised, uint256 target);
    error TargetReached(bytes32 round);
    error InsufficientIdle(bytes32 round, uint256 wanted, uint256 idle);
    error InsufficientShares(bytes32 round, uint256 wanted, uint256 held);

    IERC20 public immutable usdc;
    Models public immutable models;
    IERC4626 public immutable vault;

    /// @notice A backer's part of a round: one share for each base unit that was paid in.
    mapping(bytes32 round => mapping(address backer => uint256)) public sharesOf;

    mapping(bytes32 round => Round) private _rounds;

    constructor(address admin, IERC20 usdc_, Models models_, IERC4626 vault_) {
        _grantRole(DEFAULT_ADMIN_ROLE, admin);
        usdc = usdc_;
        models = models_;
        vault = vault_;
    }

    /// @notice Opens `round` for the caller's `model`. A round's id is used once.
    function openRound(bytes32 round, bytes32 model, uint256 target, uint64 deadline, bytes32 termsHash) external {
        address creator = models.modelOf(model).creator;
        if (msg.sender != creator) revert NotCreator(model, msg.sender, creator);
        if (_rounds[round].creator != address(0)) revert RoundExists(round);
        if (target == 0) revert ZeroAmount();
        if (deadline <= block.timestamp) revert DeadlinePassed(block.timestamp, deadline);
        Round storage entry = _rounds[round];
        entry.model = model;
        entry.creator = creator;
        entry.deadline = deadline;
        entry.target = target;
        emit RoundOpened(round, model, creator, target, deadline, termsHash);
    }

    /// @notice Pays `amount` of the caller's USDC into `round` (allowance needed), at most what it lacks to its target.
    function back(bytes32 round, uint256 amount) external {
        Round storage entry = _known(round);
        if (amount == 0) revert ZeroAmount();
        if (block.timestamp > entry.deadline) revert DeadlinePassed(block.timestamp, entry.deadline);
        uint256 left = entry.target - entry.raised;
        if (amount > left) revert AboveTarget(round, amount, left);
        entry.raised += amount;
        sharesOf[round][msg.sender] += amount;
        emit Backed(round, msg.sender, amount, amount);
        usdc.safeTransferFrom(msg.sender, address(this), amount);
    }

    /// @notice Pays `amount` of what `round` has here to its creator.
    function releaseFunds(bytes32 round, uint256 amount) external onlyRole(FOUNDATION_ROLE) {
        Round storage entry = _spendable(round, amount);
        entry.released += amount;
        emit FundsReleased(round, entry.creator, amount);
        usdc.safeTransfer(entry.creator, amount);
    }

    /// @notice Pays `backer` back what it paid into a round that missed its target. Anyone may call.
    /// @dev Shares of such a round never moved, so they are what the backer paid.
    function refund(bytes32 round, address backer) external {
        Round storage entry = _known(round);
        if (block.timestamp <= entry.deadline) revert DeadlineNotPassed(block.timestamp, entry.deadline);
        if (entry.raised == entry.target) revert TargetReached(round);
        uint256 amount = sharesOf[round][backer];
        if (amount == 0) revert ZeroAmount();
        sharesOf[round][backer] = 0;
        entry.refunded += amount;
        emit Refunded(round, backer, amount);
        usdc.safeTransfer(backer, amount);
    }

    /// @notice Lends `assets` of what `round` has here to the vault.
    function depositIdle(bytes32 round, uint256 assets) external onlyRole(TREASURER_ROLE) {
        Round storage entry = _spendable(round, assets);
        entry.lent += assets;
        usdc.forceApprove(address(vault), assets);
        uint256 shares = vault.deposit(assets, address(this));
        if (shares == 0) revert ZeroAmount();
        entry.vaultShares += shares;
        emit YieldDeposited(round, address(vault), assets, shares);
    }

    /// @notice Takes what `shares` of the vault are worth back into `round`, gain or loss included.
    function withdrawIdle(bytes32 round, uint256 shares) external onlyRole(TREASURER_ROLE) {
        Round storage entry = _known(round);
        if (shares == 0) revert ZeroAmount();
        if (shares > entry.vaultShares) revert InsufficientShares(round, shares, entry.vaultShares);
        entry.vaultShares -= shares;
        uint256 assets = vault.redeem(shares, address(this), address(this));
        entry.returned += assets;
        emit YieldWithdrawn(round, address(vault), assets, shares);
    }

    /// @notice Hands `shares` of the caller's part in a round that reached its target to `to`.
    function transferShares(bytes32 round, address to, uint256 shares) external {
        _requireReached(round, _known(round));
        if (to == address(0)) revert ZeroAddress();
        if (shares == 0) revert ZeroAmount();
        uint256 held = sharesOf[round][msg.sender];
        if (shares > held) revert InsufficientShares(round, shares, held);
        sharesOf[round][msg.sender] = held - shares;
        sharesOf[round][to] += shares;
        emit BackerShareTransferred(round, msg.sender, to, shares);
    }

    /// @notice The accounts of `round`; reverts if there is none.
    function roundOf(bytes32 round) external view returns (Round memory) {
        return _known(round);
    }

    /// @notice What `round` has here, neither lent nor paid out.
    function idleOf(bytes32 round) external view returns (uint256) {
        return _idle(_known(round));
    }

    /// @notice What the vault has earned for `round` so far, its shares counted at what they are worth now; a loss is
    ///         less than 0.
    function gainOf(bytes32 round) external view returns (int256) {
        Round storage entry = _known(round);
        return int256(entry.returned + vault.convertToAssets(entry.vaultShares)) - int256(entry.lent);
    }

    function _spendable(bytes32 round, uint256 amount) private view returns (Round storage entry) {
        entry = _known(round);
        _requireReached(round, entry);
        if (amount == 0) revert ZeroAmount();
        if (amount > _idle(entry)) revert InsufficientIdle(round, amount, _idle(entry));
    }

    function _requireReached(bytes32 round, Round storage entry) private view {
        if (entry.raised < entry.target) revert TargetNotReached(round, entry.raised, entry.target);
    }

    function _known(bytes32 round) private view returns (Round storage entry) {
        entry = _rounds[round];
        if (entry.creator == address(0)) revert UnknownRound(round);
    }

    function _idle(Round storage entry) private view returns (uint256) {
        return entry.raised + entry.returned - entry.released - entry.refunded - entry.lent;
    }
}

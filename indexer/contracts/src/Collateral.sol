// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {AccessControl} from "@openzeppelin/contracts/access/AccessControl.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {DNToken} from "./DNToken.sol";
import {Nodes} from "./Nodes.sol";

/// @title The DN that stands behind each node's work, and the reviews that may take it
/// @notice Two kinds of pocket: what is free (per node) and what is frozen (per case). The contract's DN balance is their
///         sum, plus whatever somebody sent here without being asked, which belongs to nobody's pocket.
contract Collateral is AccessControl {
    using SafeERC20 for DNToken;

    /// @notice Who holds this role opens and decides reviews (the foundation; by hand in phase 1).
    bytes32 public constant FOUNDATION_ROLE = keccak256("FOUNDATION_ROLE");
    /// @notice Who holds this role may flag a node (validators).
    bytes32 public constant FLAGGER_ROLE = keccak256("FLAGGER_ROLE");

    enum Stage {
        None,
        Flagged,
        Open,
        Decided,
        Appealed,
        Reversed
    }

    struct Case {
        bytes32 node;
        Stage stage;
        uint256 frozen;
    }

    struct Withdrawal {
        uint256 amount;
        uint64 unlockAt;
    }

    /// @notice How a frozen amount is divided; the four parts sum to it exactly.
    struct Decision {
        uint8 verdict; // 0 dismissed, 1 minor, 2 harmful
        uint256 burned;
        uint256 compensated;
        uint256 returned;
        uint256 retained;
        bytes32 reasonHash;
        string uri;
        bool deregister;
    }

    event Deposited(bytes32 indexed domain, bytes32 indexed node, address indexed payer, uint256 amount);
    event WithdrawalRequested(bytes32 indexed domain, bytes32 indexed node, uint256 amount, uint64 unlockAt);
    event Withdrawn(bytes32 indexed domain, bytes32 indexed node, address indexed to, uint256 amount);
    event Flagged(
        bytes32 indexed caseId,
        bytes32 indexed node,
        bytes32 indexed taskId,
        address reporter,
        uint8 severity,
        bytes32 evidenceHash
    );
    event ReviewOpened(bytes32 indexed caseId, uint256 frozen);
    event ReviewDecided(
        bytes32 indexed caseId,
        address indexed reviewer,
        uint8 verdict,
        uint256 burned,
        uint256 compensated,
        uint256 returned,
        uint256 retained,
        bytes32 reasonHash,
        string uri
    );
    event Appealed(bytes32 indexed caseId, address indexed by, bytes32 hash);
    event ReviewReversed(bytes32 indexed caseId, bytes32 indexed newCaseId);

    error ZeroAmount();
    error ZeroAddress();
    error InsufficientFree(bytes32 node, uint256 wanted, uint256 free);
    error NotOperator(bytes32 node, address caller, address operator);
    error NothingRequested(bytes32 node);
    error StillLocked(bytes32 node, uint256 time, uint64 unlockAt);
    error WrongStage(bytes32 caseId, Stage stage, Stage expected);
    error Unbalanced(bytes32 caseId, uint256 divided, uint256 frozen);

    DNToken public immutable dn;
    Nodes public immutable nodes;
    uint64 public immutable withdrawalDelaySeconds;
    /// @notice Receives the compensated part of a decision.
    address public compensationVault;

    mapping(bytes32 node => uint256 amount) public freeOf;
    mapping(bytes32 node => Withdrawal) public withdrawalOf;
    mapping(bytes32 caseId => Case) public caseOf;

    constructor(address admin, DNToken dn_, Nodes nodes_, address compensationVault_, uint64 withdrawalDelaySeconds_) {
        if (compensationVault_ == address(0)) revert ZeroAddress();
        _grantRole(DEFAULT_ADMIN_ROLE, admin);
        dn = dn_;
        nodes = nodes_;
        compensationVault = compensationVault_;
        withdrawalDelaySeconds = withdrawalDelaySeconds_;
    }

    /// @notice Adds `amount` of the caller's DN to the free pocket of `node` (allowance needed). Anyone may pay.
    function deposit(bytes32 node, uint256 amount) external {
        if (amount == 0) revert ZeroAmount();
        bytes32 domain = nodes.nodeOf(node).domain;
        freeOf[node] += amount;
        emit Deposited(domain, node, msg.sender, amount);
        dn.safeTransferFrom(msg.sender, address(this), amount);
    }

    /// @notice Announces a withdrawal. Nothing moves: the money stays free, and within a review's reach, until it is
    ///         withdrawn. A later request replaces an earlier one.
    function requestWithdrawal(bytes32 node, uint256 amount) external {
        Nodes.Node memory entry = _operated(node);
        if (amount == 0) revert ZeroAmount();
        if (amount > freeOf[node]) revert InsufficientFree(node, amount, freeOf[node]);
        uint64 unlockAt = uint64(block.timestamp) + withdrawalDelaySeconds;
        withdrawalOf[node] = Withdrawal({amount: amount, unlockAt: unlockAt});
        emit WithdrawalRequested(entry.domain, node, amount, unlockAt);
    }

    /// @notice Pays the requested amount to `to` once its time has come.
    /// @dev Reverts if a review froze part of the money meanwhile; the operator then requests what is left.
    function withdraw(bytes32 node, address to) external {
        Nodes.Node memory entry = _operated(node);
        Withdrawal memory request = withdrawalOf[node];
        if (request.amount == 0) revert NothingRequested(node);
        if (block.timestamp < request.unlockAt) revert StillLocked(node, block.timestamp, request.unlockAt);
        if (request.amount > freeOf[node]) revert InsufficientFree(node, request.amount, freeOf[node]);
        delete withdrawalOf[node];
        freeOf[node] -= request.amount;
        emit Withdrawn(entry.domain, node, to, request.amount);
        dn.safeTransfer(to, request.amount);
    }

    /// @notice Accuses `node` of misbehaving in `taskId`. Moves nothing.
    function flag(bytes32 caseId, bytes32 node, bytes32 taskId, uint8 severity, bytes32 evidenceHash)
        external
        onlyRole(FLAGGER_ROLE)
    {
        _advance(caseId, Stage.None, Stage.Flagged);
        nodes.nodeOf(node);
        caseOf[caseId].node = node;
        emit Flagged(caseId, node, taskId, msg.sender, severity, evidenceHash);
    }

    /// @notice Moves `amount` from the free pocket of the case's node into the case's frozen pocket.
    function openReview(bytes32 caseId, uint256 amount) external onlyRole(FOUNDATION_ROLE) {
        _advance(caseId, Stage.Flagged, Stage.Open);
        bytes32 node = caseOf[caseId].node;
        if (amount > freeOf[node]) revert InsufficientFree(node, amount, freeOf[node]);
        freeOf[node] -= amount;
        caseOf[caseId].frozen = amount;
        emit ReviewOpened(caseId, amount);
    }

    /// @notice Divides what is frozen: burned, paid to the compensation vault, paid to the operator, or kept as the node's
    ///         free collateral. Deregisters the node if the decision says so.
    function decideReview(bytes32 caseId, Decision calldata decision) external onlyRole(FOUNDATION_ROLE) {
        _advance(caseId, Stage.Open, Stage.Decided);
        Case storage subject = caseOf[caseId];
        uint256 divided = decision.burned + decision.compensated + decision.returned + decision.retained;
        if (divided != subject.frozen) revert Unbalanced(caseId, divided, subject.frozen);
        bytes32 node = subject.node;
        subject.frozen = 0;
        freeOf[node] += decision.retained;
        emit ReviewDecided(
            caseId,
            msg.sender,
            decision.verdict,
            decision.burned,
            decision.compensated,
            decision.returned,
            decision.retained,
            decision.reasonHash,
            decision.uri
        );
        // A node that has left by itself meanwhile must not be able to block the decision about its collateral.
        if (decision.deregister && nodes.nodeOf(node).active) nodes.deregisterByReview(node);
        if (decision.burned > 0) dn.burn(decision.burned);
        if (decision.compensated > 0) dn.safeTransfer(compensationVault, decision.compensated);
        if (decision.returned > 0) dn.safeTransfer(nodes.nodeOf(node).operator, decision.returned);
    }

    /// @notice Objects to a decided case of the caller's node, once. `hash` is that of the grounds. Moves nothing.
    function appeal(bytes32 caseId, bytes32 hash) external {
        _advance(caseId, Stage.Decided, Stage.Appealed);
        _operated(caseOf[caseId].node);
        emit Appealed(caseId, msg.sender, hash);
    }

    /// @notice Follows an appeal: the case is void, and `newCaseId` is an open review of the same node with nothing frozen.
    /// @dev What the reversed decision took is gone from here. Who restores it pays a deposit, as anyone can.
    function reverse(bytes32 caseId, bytes32 newCaseId) external onlyRole(FOUNDATION_ROLE) {
        _advance(caseId, Stage.Appealed, Stage.Reversed);
        _advance(newCaseId, Stage.None, Stage.Open);
        caseOf[newCaseId].node = caseOf[caseId].node;
        emit ReviewReversed(caseId, newCaseId);
    }

    function _operated(bytes32 node) private view returns (Nodes.Node memory entry) {
        entry = nodes.nodeOf(node);
        if (msg.sender != entry.operator) revert NotOperator(node, msg.sender, entry.operator);
    }

    function _advance(bytes32 caseId, Stage expected, Stage next) private {
        Stage stage = caseOf[caseId].stage;
        if (stage != expected) revert WrongStage(caseId, stage, expected);
        caseOf[caseId].stage = next;
    }
}

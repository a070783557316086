// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {AccessControl} from "@openzeppelin/contracts/access/AccessControl.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {DNToken} from "./DNToken.sol";
import {Domains} from "./Domains.sol";

/// @title Who works where: miners and validators, each registered in one domain
/// @notice A node id is used once and belongs to its domain for ever, also after it is deregistered, so that a history can
///         be keyed by node alone. This contract holds no money: fees pass from the operator to the treasury or are burned.
contract Nodes is AccessControl {
    using SafeERC20 for DNToken;

    /// @notice Who holds this role may deregister a node after a review (the Collateral contract).
    bytes32 public constant REVIEW_ROLE = keccak256("REVIEW_ROLE");

    uint8 public constant ROLE_MINER = 1;
    uint8 public constant ROLE_VALIDATOR = 2;
    uint8 public constant REASON_OPERATOR = 1;
    uint8 public constant REASON_REVIEW = 2;
    uint256 private constant PPM = 1_000_000;

    struct Node {
        bytes32 domain;
        address operator;
        uint8 role;
        bool active;
    }

    event Registered(
        bytes32 indexed domain,
        bytes32 indexed node,
        address indexed operator,
        uint8 role,
        uint256 fee,
        uint256 feeBurned
    );
    event Deregistered(bytes32 indexed domain, bytes32 indexed node, uint8 reason);

    error NodeTaken(bytes32 node, bytes32 domain);
    error UnknownNode(bytes32 node);
    error NodeInactive(bytes32 node);
    error UnknownRole(uint8 role);
    error NotOperator(bytes32 node, address caller, address operator);
    error BurnRateAboveOne(uint32 ppm);
    error ZeroAddress();

    DNToken public immutable dn;
    Domains public immutable domains;
    /// @notice Receives what is left of each fee.
    address public treasury;
    /// @notice The fee of one registration, in base units of DN.
    uint256 public fee;
    /// @notice The rate d, in ppm of the fee, that is burned.
    uint32 public burnPpm;

    mapping(bytes32 node => Node) private _nodes;

    constructor(address admin, DNToken dn_, Domains domains_, address treasury_, uint256 fee_, uint32 burnPpm_) {
        _grantRole(DEFAULT_ADMIN_ROLE, admin);
        dn = dn_;
        domains = domains_;
        _setFee(treasury_, fee_, burnPpm_);
    }

    /// @notice Sets where fees go, how high they are and how much of them is burned.
    function setFee(address treasury_, uint256 fee_, uint32 burnPpm_) external onlyRole(DEFAULT_ADMIN_ROLE) {
        _setFee(treasury_, fee_, burnPpm_);
    }

    /// @notice Registers `node` in `domain`; the caller becomes its operator and pays the fee (allowance needed).
    function register(bytes32 domain, bytes32 node, uint8 role) external {
        domains.ownerOf(domain);
        if (_nodes[node].domain != bytes32(0)) revert NodeTaken(node, _nodes[node].domain);
        if (role != ROLE_MINER && role != ROLE_VALIDATOR) revert UnknownRole(role);
        _nodes[node] = Node({domain: domain, operator: msg.sender, role: role, active: true});
        uint256 burned = fee * burnPpm / PPM;
        emit Registered(domain, node, msg.sender, role, fee, burned);
        if (burned > 0) dn.burnFrom(msg.sender, burned);
        if (fee > burned) dn.safeTransferFrom(msg.sender, treasury, fee - burned);
    }

    /// @notice Ends the registration of the caller's own `node`. Its collateral stays withdrawable.
    function deregister(bytes32 node) external {
        Node storage entry = _active(node);
        if (msg.sender != entry.operator) revert NotOperator(node, msg.sender, entry.operator);
        entry.active = false;
        emit Deregistered(entry.domain, node, REASON_OPERATOR);
    }

    /// @notice Ends the registration of `node` as the outcome of a review.
    function deregisterByReview(bytes32 node) external onlyRole(REVIEW_ROLE) {
        Node storage entry = _active(node);
        entry.active = false;
        emit Deregistered(entry.domain, node, REASON_REVIEW);
    }

    /// @notice The registration of `node`; reverts if the id was never registered.
    function nodeOf(bytes32 node) external view returns (Node memory entry) {
        entry = _nodes[node];
        if (entry.domain == bytes32(0)) revert UnknownNode(node);
    }

    function _active(bytes32 node) private view returns (Node storage entry) {
        entry = _nodes[node];
        if (entry.domain == bytes32(0)) revert UnknownNode(node);
        if (!entry.active) revert NodeInactive(node);
    }

    function _setFee(address treasury_, uint256 fee_, uint32 burnPpm_) private {
        if (treasury_ == address(0)) revert ZeroAddress();
        if (burnPpm_ > PPM) revert BurnRateAboveOne(burnPpm_);
        treasury = treasury_;
        fee = fee_;
        burnPpm = burnPpm_;
    }
}

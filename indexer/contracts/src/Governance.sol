// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {DNToken} from "./DNToken.sol";
import {Parameters} from "./Parameters.sol";
import {Staking} from "./Staking.sol";

/// @title Parameters changed by the votes of those who stake
/// @notice A proposal is one parameter's next value, with a deposit in DN that it forfeits if too few vote. The contract's
///         DN balance is the deposits of the proposals that were not tallied, plus what somebody sent here without being
///         asked. Nobody passes, stops or alters a proposal but by voting: there is no role, and the terms never change.
///         Other terms are another Governance contract, to which `Parameters` gives the governor's role.
contract Governance {
    using SafeERC20 for DNToken;

    uint8 public constant AGAINST = 0;
    uint8 public constant FOR = 1;
    uint8 public constant ABSTAIN = 2;

    enum Stage {
        None,
        Voting,
        Tallied
    }

    struct Proposal {
        address proposer;
        Stage stage;
        uint64 votingEnds;
        uint64 effectiveAt;
        bytes32 scope;
        bytes32 key;
        uint256 value;
        uint256 votesFor;
        uint256 votesAgainst;
        uint256 votesAbstain;
    }

    event ProposalCreated(
        bytes32 indexed proposal,
        address indexed proposer,
        bytes32 indexed scope,
        bytes32 key,
        uint256 value,
        uint256 deposit,
        uint64 votingEnds
    );
    event VoteCast(bytes32 indexed proposal, address indexed voter, uint8 choice, uint256 weight);
    event ProposalTallied(
        bytes32 indexed proposal, uint256 votesFor, uint256 votesAgainst, uint256 votesAbstain, bool passed
    );
    event DepositReturned(bytes32 indexed proposal, address indexed to, uint256 amount);
    event DepositForfeited(bytes32 indexed proposal, address indexed to, uint256 amount);

    error ZeroAmount();
    error ZeroAddress();
    error ZeroEpoch();
    error VotingOutlastsUnbonding(uint64 votingSeconds, uint64 unbondingSeconds);
    error ProposalExists(bytes32 proposal);
    error NotVoting(bytes32 proposal, Stage stage);
    error VotingOver(bytes32 proposal, uint256 time, uint64 votingEnds);
    error VotingOpen(bytes32 proposal, uint256 time, uint64 votingEnds);
    error UnknownChoice(uint8 choice);
    error VotedAlready(bytes32 proposal, address voter);
    error NoStake(address voter);

    DNToken public immutable dn;
    Staking public immutable staking;
    Parameters public immutable parameters;
    /// @notice Receives forfeited deposits.
    address public immutable treasury;
    uint256 public immutable deposit;
    uint64 public immutable votingSeconds;
    /// @notice How much stake must vote for or against, together; abstaining does not count towards it.
    uint256 public immutable quorum;

    mapping(bytes32 proposal => Proposal) public proposalOf;
    mapping(bytes32 proposal => mapping(address voter => bool)) public hasVoted;
    /// @notice The deposits of all proposals that were not tallied yet.
    uint256 public depositsHeld;

    /// @dev Stake cannot be voted with, withdrawn, and voted with again by another staker before voting ends: that is why
    ///      the weight of a vote can be the stake at its moment, with no snapshot.
    constructor(
        DNToken dn_,
        Staking staking_,
        Parameters parameters_,
        address treasury_,
        uint256 deposit_,
        uint64 votingSeconds_,
        uint256 quorum_
    ) {
        if (treasury_ == address(0)) revert ZeroAddress();
        if (deposit_ == 0 || votingSeconds_ == 0) revert ZeroAmount();
        uint64 unbondingSeconds = staking_.unbondingSeconds();
        if (votingSeconds_ > unbondingSeconds) revert VotingOutlastsUnbonding(votingSeconds_, unbondingSeconds);
        dn = dn_;
        staking = staking_;
        parameters = parameters_;
        treasury = treasury_;
        deposit = deposit_;
        votingSeconds = votingSeconds_;
        quorum = quorum_;
    }

    /// @notice Proposes `value` for the parameter (scope, key) from the epoch `effectiveAt` on, and takes the deposit from
    ///         the caller (allowance needed). `salt` tells apart what one proposer proposes twice.
    /// @dev The id depends on no counter, so that after a reorg a vote cannot meet another proposal than its own.
    function propose(bytes32 scope, bytes32 key, uint256 value, uint64 effectiveAt, bytes32 salt)
        external
        returns (bytes32 proposal)
    {
        // There is no epoch 0 to come: whoever says it forgot to choose one.
        if (effectiveAt == 0) revert ZeroEpoch();
        proposal = keccak256(abi.encode(msg.sender, scope, key, value, effectiveAt, salt));
        Proposal storage entry = proposalOf[proposal];
        if (entry.stage != Stage.None) revert ProposalExists(proposal);
        uint64 votingEnds = uint64(block.timestamp) + votingSeconds;
        entry.proposer = msg.sender;
        entry.stage = Stage.Voting;
        entry.votingEnds = votingEnds;
        entry.effectiveAt = effectiveAt;
        entry.scope = scope;
        entry.key = key;
        entry.value = value;
        depositsHeld += deposit;
        emit ProposalCreated(proposal, msg.sender, scope, key, value, deposit, votingEnds);
        dn.safeTransferFrom(msg.sender, address(this), deposit);
    }

    /// @notice Votes with all that the caller has staked now. A vote is final: staking more later adds nothing to it.
    function vote(bytes32 proposal, uint8 choice) external {
        Proposal storage entry = _voting(proposal);
        if (block.timestamp >= entry.votingEnds) revert VotingOver(proposal, block.timestamp, entry.votingEnds);
        if (hasVoted[proposal][msg.sender]) revert VotedAlready(proposal, msg.sender);
        uint256 weight = staking.stakeOf(msg.sender);
        if (weight == 0) revert NoStake(msg.sender);
        hasVoted[proposal][msg.sender] = true;
        if (choice == FOR) entry.votesFor += weight;
        else if (choice == AGAINST) entry.votesAgainst += weight;
        else if (choice == ABSTAIN) entry.votesAbstain += weight;
        else revert UnknownChoice(choice);
        emit VoteCast(proposal, msg.sender, choice, weight);
    }

    /// @notice Ends a proposal whose voting is over: sets the parameter if it passed, and returns or forfeits the deposit.
    ///         Anyone may call.
    /// @dev It passes with the quorum and more votes for it than against it. Without the quorum the deposit is forfeited; a
    ///      proposal that was properly voted down has wasted nobody's time. While this contract lacks the governor's role
    ///      in `Parameters`, what has passed cannot be tallied, and keeps its deposit until it can.
    function tally(bytes32 proposal) external {
        Proposal storage entry = _voting(proposal);
        if (block.timestamp < entry.votingEnds) revert VotingOpen(proposal, block.timestamp, entry.votingEnds);
        bool decided = entry.votesFor + entry.votesAgainst >= quorum;
        bool passed = decided && entry.votesFor > entry.votesAgainst;
        address to = decided ? entry.proposer : treasury;
        entry.stage = Stage.Tallied;
        depositsHeld -= deposit;
        emit ProposalTallied(proposal, entry.votesFor, entry.votesAgainst, entry.votesAbstain, passed);
        if (decided) emit DepositReturned(proposal, to, deposit);
        else emit DepositForfeited(proposal, to, deposit);
        if (passed) parameters.set(entry.scope, entry.key, entry.value, entry.effectiveAt, proposal);
        dn.safeTransfer(to, deposit);
    }

    function _voting(bytes32 proposal) private view returns (Proposal storage entry) {
        entry = proposalOf[proposal];
        if (entry.stage != Stage.Voting) revert NotVoting(proposal, entry.stage);
    }
}

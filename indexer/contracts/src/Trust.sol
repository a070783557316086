// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {AccessControl} from "@openzeppelin/contracts/access/AccessControl.sol";

/// @title How far each subject is trusted in each domain
/// @notice Scores are computed off chain from signed task events; a checkpoint anchors one here, with the root of the
///         evidence. Each names the score that it replaces, so the checkpoints of a subject form an unbroken chain.
contract Trust is AccessControl {
    /// @notice Who holds this role submits checkpoints.
    bytes32 public constant SCORER_ROLE = keccak256("SCORER_ROLE");
    uint8 public constant SUBJECT_MINER = 1;
    uint8 public constant SUBJECT_VALIDATOR = 2;
    uint8 public constant SUBJECT_MODEL = 3;
    /// @notice The score of whom nothing is known yet, in ppm.
    uint32 public constant START = 500_000;
    uint32 private constant PPM = 1_000_000;

    struct Score {
        uint32 ppm;
        // Without it a score that fell to zero would read as one that was never set.
        bool known;
    }

    event ScoreCheckpoint(
        uint8 subjectType,
        bytes32 indexed subject,
        bytes32 indexed domain,
        uint64 indexed epoch,
        uint32 old,
        uint32 new_,
        uint8 reason,
        bytes32 evidenceRoot
    );

    error UnknownSubjectType(uint8 subjectType);
    error NotTheScore(bytes32 subject, uint32 old, uint32 stored);
    error ScoreAboveOne(uint32 ppm);

    mapping(uint8 subjectType => mapping(bytes32 subject => mapping(bytes32 domain => Score))) private _scores;

    constructor(address admin) {
        _grantRole(DEFAULT_ADMIN_ROLE, admin);
    }

    /// @notice Replaces the score `old` of a subject in `domain` by `new_` (ppm).
    /// @dev A checkpoint that was computed from another score than the stored one is refused: one of the two is missing.
    ///      That the subject exists is not asked, as its score may be anchored after it has left. `reason` is the
    ///      scorer's own number.
    function checkpoint(
        uint8 subjectType,
        bytes32 subject,
        bytes32 domain,
        uint64 epoch,
        uint32 old,
        uint32 new_,
        uint8 reason,
        bytes32 evidenceRoot
    ) external onlyRole(SCORER_ROLE) {
        if (subjectType < SUBJECT_MINER || subjectType > SUBJECT_MODEL) revert UnknownSubjectType(subjectType);
        uint32 stored = scoreOf(subjectType, subject, domain);
        if (old != stored) revert NotTheScore(subject, old, stored);
        if (new_ > PPM) revert ScoreAboveOne(new_);
        _scores[subjectType][subject][domain] = Score({ppm: new_, known: true});
        emit ScoreCheckpoint(subjectType, subject, domain, epoch, old, new_, reason, evidenceRoot);
    }

    /// @notice The score of a subject in `domain`, in ppm; `START` if there was no checkpoint.
    function scoreOf(uint8 subjectType, bytes32 subject, bytes32 domain) public view returns (uint32) {
        Score memory score = _scores[subjectType][subject][domain];
        return score.known ? score.ppm : START;
    }
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {AccessControl} from "@openzeppelin/contracts/access/AccessControl.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {MerkleProof} from "@openzeppelin/contracts/utils/cryptography/MerkleProof.sol";

/// @title What earners may claim, by Merkle roots of everything that each has earned so far
/// @notice An entitlement is cumulative: it counts all epochs up to the root's, so one claim pays whatever is still open, and
///         a root that was missed costs nobody anything. The trees are OpenZeppelin's StandardMerkleTree over
///         (address earner, address asset, uint256 cumulative).
/// @dev Fed by plain transfers. A root is accepted only if what it entitles to, less what was claimed, is here; and the
///      claims of an asset never pass the total of the root in force. So a proven claim is always paid.
contract Rewards is AccessControl {
    using SafeERC20 for IERC20;

    /// @notice Who holds this role submits roots.
    bytes32 public constant ROOT_ROLE = keccak256("ROOT_ROLE");
    /// @notice Who holds this role takes a wrong root out of force, before or after it is activated.
    bytes32 public constant GUARDIAN_ROLE = keccak256("GUARDIAN_ROLE");

    struct Root {
        bytes32 root;
        uint256 total; // of all entitlements in the tree
        uint64 epoch;
        uint64 activatesAt; // in seconds
        bool disabled;
    }

    event RootSubmitted(
        uint64 indexed epoch,
        bytes32 indexed root,
        address indexed asset,
        uint256 total,
        uint64 endBlock,
        string uri,
        bytes32 ruleset,
        uint64 activatesAt
    );
    event RootDisabled(uint64 indexed epoch, address indexed asset, bytes32 indexed reason);
    event Claimed(
        uint64 indexed epoch, address indexed earner, address indexed asset, address to, uint256 amount
    );

    error EpochNotNewer(uint64 epoch, uint64 newest);
    error TotalFell(address asset, uint256 total, uint256 before);
    error NotFunded(address asset, uint256 needed, uint256 held);
    error UnknownRoot(uint64 epoch, address asset);
    error NoRootInForce(address asset);
    error NotInForce(uint64 epoch, uint64 inForce);
    error WrongProof(address earner, address asset, uint256 cumulative);
    error NothingToClaim(address earner, address asset, uint256 cumulative, uint256 claimed);
    error TotalPassed(address asset, uint256 claimed, uint256 total);

    /// @notice What was paid to `earner` so far.
    mapping(address earner => mapping(address asset => uint256)) public claimedOf;
    /// @notice What was paid to all earners so far.
    mapping(address asset => uint256) public claimedTotalOf;

    // In order of submission; the epochs of those that are not disabled ascend.
    mapping(address asset => Root[]) private _roots;

    constructor(address admin) {
        _grantRole(DEFAULT_ADMIN_ROLE, admin);
    }

    /// @notice Submits the tree of all that was earned in `asset` up to the end of `epoch`; claims use it from `activatesAt`
    ///         on. `endBlock`, `uri` and `ruleset` say from what, and by which rules, it was computed.
    /// @param total the sum of the tree's entitlements; what is not claimed of it yet must be here.
    /// @dev An epoch whose root was disabled may be submitted again as long as no newer root stands.
    function submitRoot(
        uint64 epoch,
        address asset,
        bytes32 root,
        uint256 total,
        uint64 endBlock,
        string calldata uri,
        bytes32 ruleset,
        uint64 activatesAt
    ) external onlyRole(ROOT_ROLE) {
        Root memory newest = _newest(asset, type(uint64).max);
        if (epoch <= newest.epoch) revert EpochNotNewer(epoch, newest.epoch);
        uint256 claimed = claimedTotalOf[asset];
        // Claims by a root that was disabled afterwards count too: they may have passed the last root that stands.
        uint256 before = claimed > newest.total ? claimed : newest.total;
        if (total < before) revert TotalFell(asset, total, before);
        uint256 held = IERC20(asset).balanceOf(address(this));
        if (total - claimed > held) revert NotFunded(asset, total - claimed, held);
        _roots[asset].push(
            Root({root: root, total: total, epoch: epoch, activatesAt: activatesAt, disabled: false})
        );
        emit RootSubmitted(epoch, root, asset, total, endBlock, uri, ruleset, activatesAt);
    }

    /// @notice Takes the root of `epoch` and `asset` out of force for good; the one before it is in force again.
    function disableRoot(uint64 epoch, address asset, bytes32 reason) external onlyRole(GUARDIAN_ROLE) {
        Root[] storage roots = _roots[asset];
        for (uint256 i = roots.length; i > 0; i--) {
            Root storage entry = roots[i - 1];
            if (entry.epoch != epoch || entry.disabled) continue;
            entry.disabled = true;
            emit RootDisabled(epoch, asset, reason);
            return;
        }
        revert UnknownRoot(epoch, asset);
    }

    /// @notice Pays `earner` what is still open of `cumulative`. Anyone may call: the destination is not theirs to choose.
    /// @param epoch of the root in force, which `proof` belongs to.
    function claim(uint64 epoch, address earner, address asset, uint256 cumulative, bytes32[] calldata proof) external {
        Root memory root = inForce(asset);
        if (epoch != root.epoch) revert NotInForce(epoch, root.epoch);
        bytes32 leaf = keccak256(bytes.concat(keccak256(abi.encode(earner, asset, cumulative))));
        if (!MerkleProof.verifyCalldata(proof, root.root, leaf)) revert WrongProof(earner, asset, cumulative);
        uint256 claimed = claimedOf[earner][asset];
        if (cumulative <= claimed) revert NothingToClaim(earner, asset, cumulative, claimed);
        uint256 amount = cumulative - claimed;
        uint256 paid = claimedTotalOf[asset] + amount;
        if (paid > root.total) revert TotalPassed(asset, paid, root.total);
        claimedOf[earner][asset] = cumulative;
        claimedTotalOf[asset] = paid;
        emit Claimed(epoch, earner, asset, earner, amount);
        IERC20(asset).safeTransfer(earner, amount);
    }

    /// @notice The root that claims of `asset` are proven against now: the newest that is activated and not disabled.
    function inForce(address asset) public view returns (Root memory root) {
        root = _newest(asset, uint64(block.timestamp));
        if (root.epoch == 0) revert NoRootInForce(asset);
    }

    /// @notice The newest root of `asset` that is not disabled, activated or not; epoch 0 if there is none.
    function newestOf(address asset) external view returns (Root memory) {
        return _newest(asset, type(uint64).max);
    }

    /// @dev From the newest back, over what is disabled or activated later than `time`: one or two steps.
    function _newest(address asset, uint64 time) private view returns (Root memory root) {
        Root[] storage roots = _roots[asset];
        for (uint256 i = roots.length; i > 0; i--) {
            root = roots[i - 1];
            if (!root.disabled && root.activatesAt <= time) return root;
        }
        delete root;
    }
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {AccessControl} from "@openzeppelin/contracts/access/AccessControl.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {DNToken} from "./DNToken.sol";
import {Domains} from "./Domains.sol";

/// @title The clock of epochs, and the pools that each epoch divides among those who worked in it
/// @notice Fed by minting and by plain transfers (the router's emission leg). Per asset the contract's balance is what is
///         available for allocation plus what is undistributed.
contract Emission is AccessControl {
    using SafeERC20 for IERC20;

    /// @notice Who holds this role opens epochs and mints for them.
    bytes32 public constant EPOCH_ROLE = keccak256("EPOCH_ROLE");
    /// @notice Who holds this role divides the pools of epochs that are over.
    bytes32 public constant ALLOCATOR_ROLE = keccak256("ALLOCATOR_ROLE");
    /// @notice The foundation's share is fixed at 1 %; the weights of the other five legs sum to the rest.
    uint32 public constant FOUNDATION_PPM = 10_000;
    uint8 public constant LEG_MINERS = 0;
    uint8 public constant LEG_STAKERS = 1;
    uint8 public constant LEG_VALIDATORS = 2;
    uint8 public constant LEG_OWNER = 3;
    uint8 public constant LEG_MODELS = 4;
    uint8 public constant LEG_FOUNDATION = 5;
    uint8 public constant LEGS = 6;
    uint256 private constant PPM = 1_000_000;

    event EpochOpened(uint64 indexed epoch, uint64 startBlock);
    event EmissionMinted(uint64 indexed epoch, uint256 amount, uint256 fromRevenue);
    /// @notice The six legs and `undistributed` sum to the pool; a leg that nobody can receive is 0 here.
    event EpochAllocated(
        uint64 indexed epoch,
        bytes32 indexed domain,
        address indexed asset,
        uint256 miners,
        uint256 stakers,
        uint256 validators,
        uint256 owner,
        uint256 models,
        uint256 foundation,
        uint256 undistributed
    );

    error ZeroAmount();
    error ZeroAddress();
    error EpochOutOfTurn(uint64 epoch, uint64 expected);
    error EpochNotOpened(uint64 epoch, uint64 current);
    error EpochNotOver(uint64 epoch, uint64 current);
    error AlreadyMinted(uint64 epoch);
    error AlreadyAllocated(uint64 epoch, bytes32 domain, address asset);
    error UnknownLeg(uint8 emptyMask);
    error WeightsDisagree(uint256 sum);
    error AboveAvailable(address asset, uint256 amount, uint256 available);

    DNToken public immutable dn;
    Domains public immutable domains;
    /// @notice Receives what is distributed; earners claim it there.
    address public immutable rewards;

    /// @notice The epoch that runs now; 0 before the first. It is over when the next one is opened.
    uint64 public currentEpoch;
    mapping(uint64 epoch => bool) public isMinted;
    mapping(uint64 epoch => mapping(bytes32 domain => mapping(address asset => bool))) public isAllocated;
    /// @notice The legs of all epochs that had nobody to receive them. They stay here.
    mapping(address asset => uint256) public undistributedOf;

    constructor(address admin, DNToken dn_, Domains domains_, address rewards_) {
        if (rewards_ == address(0)) revert ZeroAddress();
        _grantRole(DEFAULT_ADMIN_ROLE, admin);
        dn = dn_;
        domains = domains_;
        rewards = rewards_;
    }

    /// @notice Ends the epoch that runs and begins `epoch`, its successor. The first is 1.
    function openEpoch(uint64 epoch) external onlyRole(EPOCH_ROLE) {
        if (epoch != currentEpoch + 1) revert EpochOutOfTurn(epoch, currentEpoch + 1);
        currentEpoch = epoch;
        emit EpochOpened(epoch, uint64(block.number));
    }

    /// @notice Mints `amount` DN for the pools of `epoch`, once. `fromRevenue` is the DN for the same pools that revenue
    ///         has brought here already.
    function mint(uint64 epoch, uint256 amount, uint256 fromRevenue) external onlyRole(EPOCH_ROLE) {
        if (epoch == 0 || epoch > currentEpoch) revert EpochNotOpened(epoch, currentEpoch);
        if (isMinted[epoch]) revert AlreadyMinted(epoch);
        _requireAvailable(address(dn), fromRevenue);
        isMinted[epoch] = true;
        dn.mint(address(this), amount);
        emit EmissionMinted(epoch, amount, fromRevenue);
    }

    /// @notice Divides `pool` of `asset` among the legs of `domain` for `epoch`, which is over, and sends it to Rewards.
    /// @param emptyMask bit n is set if leg n has nobody to receive it: its part stays here, undistributed.
    function allocate(uint64 epoch, bytes32 domain, address asset, uint256 pool, uint8 emptyMask)
        external
        onlyRole(ALLOCATOR_ROLE)
    {
        if (epoch == 0 || epoch >= currentEpoch) revert EpochNotOver(epoch, currentEpoch);
        if (isAllocated[epoch][domain][asset]) revert AlreadyAllocated(epoch, domain, asset);
        if (pool == 0) revert ZeroAmount();
        if (emptyMask >> LEGS != 0) revert UnknownLeg(emptyMask);
        _requireAvailable(asset, pool);
        isAllocated[epoch][domain][asset] = true;
        uint256[6] memory legs = divide(pool, domains.weightsOf(domain, epoch));
        uint256 undistributed = 0;
        for (uint256 leg = 0; leg < LEGS; leg++) {
            if ((emptyMask >> leg) & 1 == 0) continue;
            undistributed += legs[leg];
            legs[leg] = 0;
        }
        undistributedOf[asset] += undistributed;
        emit EpochAllocated(
            epoch,
            domain,
            asset,
            legs[LEG_MINERS],
            legs[LEG_STAKERS],
            legs[LEG_VALIDATORS],
            legs[LEG_OWNER],
            legs[LEG_MODELS],
            legs[LEG_FOUNDATION],
            undistributed
        );
        if (pool > undistributed) IERC20(asset).safeTransfer(rewards, pool - undistributed);
    }

    /// @notice What may still be allocated of `asset`.
    function available(address asset) public view returns (uint256) {
        return IERC20(asset).balanceOf(address(this)) - undistributedOf[asset];
    }

    /// @notice The six legs of `pool` by largest remainder: each is rounded down, then the units that are missing go one
    ///         each to the largest remainders, of equal ones to the earlier leg. They sum to the pool.
    /// @param weights of the first five legs in ppm, which sum to 990 000.
    function divide(uint256 pool, uint32[5] memory weights) public pure returns (uint256[6] memory legs) {
        uint256[6] memory remainders;
        uint256 missing = pool;
        uint256 sum = 0;
        for (uint256 leg = 0; leg < LEGS; leg++) {
            uint256 rate = leg == LEG_FOUNDATION ? FOUNDATION_PPM : weights[leg];
            legs[leg] = pool * rate / PPM;
            remainders[leg] = pool * rate % PPM;
            missing -= legs[leg];
            sum += rate;
        }
        if (sum != PPM) revert WeightsDisagree(sum);
        // The remainders sum to missing * PPM and each is less than PPM, so more than `missing` of them are positive: no
        // leg gets two units, and none that weighs nothing gets any.
        for (; missing > 0; missing--) {
            uint256 largest = 0;
            for (uint256 leg = 1; leg < LEGS; leg++) {
                if (remainders[leg] > remainders[largest]) largest = leg;
            }
            legs[largest] += 1;
            remainders[largest] = 0;
        }
    }

    function _requireAvailable(address asset, uint256 amount) private view {
        uint256 limit = available(asset);
        if (amount > limit) revert AboveAvailable(asset, amount, limit);
    }
}

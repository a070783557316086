// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {AccessControl} from "@openzeppelin/contracts/access/AccessControl.sol";

/// @title The domains of the marketplace, the route that revenue takes in each, and the weights of its emission
/// @notice A route is six rates in ppm of gross: fees (y), buyback, foundation, domain, variableBurn and yield. The rates of
///         the creator (b) and of the backers (a) belong to the model; yield is taken out of a. Emission weights are five,
///         also in ppm: miners, stakers, validators, owner and models.
contract Domains is AccessControl {
    /// @notice Who holds this role creates domains and sets their routes and weights.
    bytes32 public constant GOVERNOR_ROLE = keccak256("GOVERNOR_ROLE");
    /// @notice Buyback and foundation are fixed at 1 % each.
    uint32 public constant FIXED_RATE_PPM = 10_000;
    uint256 public constant ROUTE_RATES = 6;
    /// @notice What the five weights of an emission sum to: all but the foundation's 1 %. So none is above 99 %.
    uint32 public constant WEIGHTS_SUM_PPM = 990_000;
    /// @notice The domain's owner receives at most 10 % of an emission.
    uint32 public constant OWNER_WEIGHT_MAX_PPM = 100_000;

    struct Route {
        // 0 means that no route was ever set; each change adds one. The router keys its carries with it.
        uint32 version;
        uint32[6] rates;
    }

    struct EmissionWeights {
        uint64 fromEpoch;
        uint32[5] weights;
    }

    event DomainCreated(bytes32 indexed domain, address indexed owner, string uri);
    event DomainOwnerChanged(bytes32 indexed domain, address indexed old, address indexed new_);
    event RevenueRouteSet(
        bytes32 indexed domain, address indexed asset, uint32[] old, uint32[] new_, uint64 fromEpoch
    );
    event EmissionWeightsSet(bytes32 indexed domain, uint32[5] old, uint32[5] new_, uint64 fromEpoch);

    error DomainExists(bytes32 domain);
    error UnknownDomain(bytes32 domain);
    error NotDomainOwner(bytes32 domain, address caller, address owner);
    error ZeroAddress();
    error WrongRateCount(uint256 count, uint256 expected);
    error FixedRateChanged(uint256 index, uint32 rate, uint32 expected);
    error RatesAboveOne(uint256 sum);
    error WeightsDisagree(uint256 sum, uint256 expected);
    error OwnerWeightAboveMaximum(uint32 weight, uint32 maximum);
    error EpochBehindNewest(bytes32 domain, uint64 fromEpoch, uint64 newest);
    error NoEmissionWeights(bytes32 domain, uint64 epoch);

    mapping(bytes32 domain => address owner) private _owners;
    mapping(bytes32 domain => mapping(address asset => Route)) private _routes;
    // In the order of their epochs; of several for one epoch the last counts.
    mapping(bytes32 domain => EmissionWeights[]) private _weights;

    constructor(address admin) {
        _grantRole(DEFAULT_ADMIN_ROLE, admin);
    }

    /// @notice Creates `domain`, which is owned by `owner` from now on.
    function create(bytes32 domain, address owner, string calldata uri) external onlyRole(GOVERNOR_ROLE) {
        if (_owners[domain] != address(0)) revert DomainExists(domain);
        if (owner == address(0)) revert ZeroAddress();
        _owners[domain] = owner;
        emit DomainCreated(domain, owner, uri);
    }

    /// @notice Hands `domain` to `newOwner`, who is also paid what the domain's pockets hold when they are released.
    function changeOwner(bytes32 domain, address newOwner) external {
        address owner = ownerOf(domain);
        if (msg.sender != owner) revert NotDomainOwner(domain, msg.sender, owner);
        if (newOwner == address(0)) revert ZeroAddress();
        _owners[domain] = newOwner;
        emit DomainOwnerChanged(domain, owner, newOwner);
    }

    /// @notice Sets the route of `asset` in `domain` and starts its next version.
    /// @dev The router applies a route to every settlement after this event. `fromEpoch` tells readers of epoch statements
    ///      the first epoch whose expectations use it; the chain itself keeps no epochs.
    function setRevenueRoute(bytes32 domain, address asset, uint32[] calldata rates, uint64 fromEpoch)
        external
        onlyRole(GOVERNOR_ROLE)
    {
        ownerOf(domain);
        if (rates.length != ROUTE_RATES) revert WrongRateCount(rates.length, ROUTE_RATES);
        uint256 sum = 0;
        for (uint256 i = 0; i < ROUTE_RATES; i++) sum += rates[i];
        if (sum > 1_000_000) revert RatesAboveOne(sum);
        for (uint256 i = 1; i < 3; i++) {
            if (rates[i] != FIXED_RATE_PPM) revert FixedRateChanged(i, rates[i], FIXED_RATE_PPM);
        }
        Route storage route = _routes[domain][asset];
        uint32[] memory old = new uint32[](route.version == 0 ? 0 : ROUTE_RATES);
        for (uint256 i = 0; i < old.length; i++) old[i] = route.rates[i];
        route.version += 1;
        for (uint256 i = 0; i < ROUTE_RATES; i++) route.rates[i] = rates[i];
        emit RevenueRouteSet(domain, asset, old, rates, fromEpoch);
    }

    /// @notice Sets the weights by which emission is divided in `domain` from the epoch `fromEpoch` on: miners, stakers,
    ///         validators, owner, models. For the epoch of the newest weights it replaces them; it cannot go before it.
    /// @dev This contract keeps no epochs: it is up to the governor to name one that has not begun.
    function setEmissionWeights(bytes32 domain, uint32[5] calldata weights, uint64 fromEpoch)
        external
        onlyRole(GOVERNOR_ROLE)
    {
        ownerOf(domain);
        uint256 sum = 0;
        for (uint256 i = 0; i < 5; i++) sum += weights[i];
        if (sum != WEIGHTS_SUM_PPM) revert WeightsDisagree(sum, WEIGHTS_SUM_PPM);
        if (weights[3] > OWNER_WEIGHT_MAX_PPM) revert OwnerWeightAboveMaximum(weights[3], OWNER_WEIGHT_MAX_PPM);
        EmissionWeights[] storage history = _weights[domain];
        EmissionWeights memory newest;
        if (history.length > 0) {
            newest = history[history.length - 1];
            if (fromEpoch < newest.fromEpoch) revert EpochBehindNewest(domain, fromEpoch, newest.fromEpoch);
        }
        history.push(EmissionWeights({fromEpoch: fromEpoch, weights: weights}));
        emit EmissionWeightsSet(domain, newest.weights, weights, fromEpoch);
    }

    /// @notice The owner of `domain`; reverts if there is no such domain.
    function ownerOf(bytes32 domain) public view returns (address owner) {
        owner = _owners[domain];
        if (owner == address(0)) revert UnknownDomain(domain);
    }

    /// @notice The route of `asset` in `domain`; version 0 if none was set.
    function routeOf(bytes32 domain, address asset) external view returns (Route memory) {
        return _routes[domain][asset];
    }

    /// @notice The emission weights of `domain` that are in force in `epoch`; reverts if there are none.
    function weightsOf(bytes32 domain, uint64 epoch) external view returns (uint32[5] memory) {
        EmissionWeights[] storage history = _weights[domain];
        for (uint256 i = history.length; i > 0; i--) {
            if (history[i - 1].fromEpoch <= epoch) return history[i - 1].weights;
        }
        revert NoEmissionWeights(domain, epoch);
    }
}

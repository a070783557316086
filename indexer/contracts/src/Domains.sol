// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {AccessControl} from "@openzeppelin/contracts/access/AccessControl.sol";

/// @title The domains of the marketplace and the route that revenue takes in each
/// @notice A route is six rates in ppm of gross: fees (y), buyback, foundation, domain, variableBurn and yield. The rates of
///         the creator (b) and of the backers (a) belong to the model; yield is taken out of a.
contract Domains is AccessControl {
    /// @notice Who holds this role creates domains and sets their routes.
    bytes32 public constant GOVERNOR_ROLE = keccak256("GOVERNOR_ROLE");
    /// @notice Buyback and foundation are fixed at 1 % each.
    uint32 public constant FIXED_RATE_PPM = 10_000;
    uint256 public constant ROUTE_RATES = 6;

    struct Route {
        // 0 means that no route was ever set; each change adds one. The router keys its carries with it.
        uint32 version;
        uint32[6] rates;
    }

    event DomainCreated(bytes32 indexed domain, address indexed owner, string uri);
    event DomainOwnerChanged(bytes32 indexed domain, address indexed old, address indexed new_);
    event RevenueRouteSet(
        bytes32 indexed domain, address indexed asset, uint32[] old, uint32[] new_, uint64 fromEpoch
    );

    error DomainExists(bytes32 domain);
    error UnknownDomain(bytes32 domain);
    error NotDomainOwner(bytes32 domain, address caller, address owner);
    error ZeroAddress();
    error WrongRateCount(uint256 count, uint256 expected);
    error FixedRateChanged(uint256 index, uint32 rate, uint32 expected);
    error RatesAboveOne(uint256 sum);

    mapping(bytes32 domain => address owner) private _owners;
    mapping(bytes32 domain => mapping(address asset => Route)) private _routes;

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

    /// @notice The owner of `domain`; reverts if there is no such domain.
    function ownerOf(bytes32 domain) public view returns (address owner) {
        owner = _owners[domain];
        if (owner == address(0)) revert UnknownDomain(domain);
    }

    /// @notice The route of `asset` in `domain`; version 0 if none was set.
    function routeOf(bytes32 domain, address asset) external view returns (Route memory) {
        return _routes[domain][asset];
    }
}

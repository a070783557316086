// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {AccessControl} from "@openzeppelin/contracts/access/AccessControl.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {DNToken} from "./DNToken.sol";
import {Domains} from "./Domains.sol";
import {Models} from "./Models.sol";

/// @title The one module through which all revenue passes
/// @notice A payment is escrowed, then either settled (split into nine legs) or refunded. Per asset the contract's balance
///         is the escrow, plus the pockets, plus the suspense, plus what somebody sent here without being asked.
/// @dev The split carries its remainders forward: n = carry + amount * rate; leg = n / 10**6; carry = n % 10**6. The rates
///      sum to 10**6, so what was received less what was split is the sum of the carries / 10**6: never negative, and less
///      than nine units per route key and asset. One receipt alone may split into a little more than its gross.
contract RevenueRouter is AccessControl {
    using SafeERC20 for IERC20;

    /// @notice Who holds this role settles and refunds receipts, after validation.
    bytes32 public constant SETTLER_ROLE = keccak256("SETTLER_ROLE");
    /// @notice Names the arithmetic above; it is the hash of this text until rulesets are governed on chain.
    bytes32 public constant RULESET = keccak256("deepnode/ruleset/1");

    uint8 public constant LEG_CREATOR = 0;
    uint8 public constant LEG_BACKERS = 1;
    uint8 public constant LEG_FEES = 2;
    uint8 public constant LEG_BUYBACK = 3;
    uint8 public constant LEG_FOUNDATION = 4;
    uint8 public constant LEG_DOMAIN = 5;
    uint8 public constant LEG_VARIABLE_BURN = 6;
    uint8 public constant LEG_YIELD = 7;
    uint8 public constant LEG_EMISSION = 8;
    uint8 public constant LEGS = 9;
    uint256 private constant PPM = 1_000_000;

    enum Stage {
        None,
        Escrowed,
        Settled,
        Refunded
    }

    struct Receipt {
        bytes32 model;
        address payer;
        Stage stage;
        address asset;
        uint256 amount;
    }

    event RevenueReceived(
        bytes32 indexed receipt,
        bytes32 indexed model,
        address indexed payer,
        address asset,
        uint256 amount,
        bytes32 ref
    );
    event RevenueRefunded(bytes32 indexed receipt, address indexed to, uint256 amount);
    event RevenueSplit(
        bytes32 indexed receipt,
        bytes32 indexed model,
        address asset,
        uint256 gross,
        uint256 creator,
        uint256 backers,
        uint256 fees,
        uint256 buyback,
        uint256 foundation,
        uint256 domain,
        uint256 variableBurn,
        uint256 yield,
        uint256 emission,
        bytes32 ruleset
    );
    /// @notice A pocket was paid out in full; `to` is 0x0 when it was burned.
    event Released(
        uint8 indexed leg, bytes32 indexed beneficiary, address indexed to, address asset, uint256 amount
    );

    error ZeroAmount();
    error ZeroAddress();
    error ModelNotActive(bytes32 model, uint8 status);
    error NoRoute(bytes32 domain, address asset);
    error YieldAboveBackers(uint32 yield, uint32 backers);
    error RatesAboveOne(uint256 sum);
    error ReceiptExists(bytes32 receipt);
    error NotEscrowed(bytes32 receipt, Stage stage);
    error UnknownLeg(uint8 leg);
    error EmptyPocket(uint8 leg, bytes32 beneficiary, address asset);

    DNToken public immutable dn;
    Domains public immutable domains;
    Models public immutable models;

    mapping(bytes32 receipt => Receipt) public receiptOf;
    mapping(uint8 leg => mapping(bytes32 beneficiary => mapping(address asset => uint256))) public pocketOf;
    /// @notice Money received and not yet settled or refunded.
    mapping(address asset => uint256) public escrowOf;
    /// @notice What the carries of all route keys amount to.
    mapping(address asset => uint256) public suspenseOf;
    /// @notice The wallet of each leg that has no owner of its own (all but creator and domain).
    mapping(uint8 leg => address) public walletOf;

    mapping(bytes32 routeKey => mapping(address asset => uint32[9])) private _carries;

    constructor(address admin, DNToken dn_, Domains domains_, Models models_) {
        _grantRole(DEFAULT_ADMIN_ROLE, admin);
        dn = dn_;
        domains = domains_;
        models = models_;
    }

    /// @notice Sets where the pockets of `leg` are paid to.
    function setWallet(uint8 leg, address wallet) external onlyRole(DEFAULT_ADMIN_ROLE) {
        if (leg >= LEGS || leg == LEG_CREATOR || leg == LEG_DOMAIN) revert UnknownLeg(leg);
        if (wallet == address(0)) revert ZeroAddress();
        walletOf[leg] = wallet;
    }

    /// @notice Pays `amount` for the use of `model` into escrow (allowance needed). `ref` names the task.
    /// @dev The receipt is made of its content, not of a counter: after a reorg in which payments change places, a
    ///      settlement still finds the payment that it was meant for. The same payer, model, asset, amount and ref once only.
    function pay(bytes32 model, address asset, uint256 amount, bytes32 ref) external returns (bytes32 receipt) {
        if (amount == 0) revert ZeroAmount();
        Models.Model memory entry = models.modelOf(model);
        if (entry.status != models.STATUS_ACTIVE()) revert ModelNotActive(model, entry.status);
        // Refused now rather than at settlement, where only a refund would be left.
        _rates(entry, asset);
        receipt = keccak256(abi.encode(msg.sender, model, asset, amount, ref));
        if (receiptOf[receipt].stage != Stage.None) revert ReceiptExists(receipt);
        receiptOf[receipt] =
            Receipt({model: model, payer: msg.sender, stage: Stage.Escrowed, asset: asset, amount: amount});
        escrowOf[asset] += amount;
        emit RevenueReceived(receipt, model, msg.sender, asset, amount, ref);
        IERC20(asset).safeTransferFrom(msg.sender, address(this), amount);
    }

    /// @notice Splits an escrowed receipt into the pockets of its nine legs, at the route that is in force now.
    function settle(bytes32 receipt) external onlyRole(SETTLER_ROLE) {
        Receipt storage entry = _close(receipt, Stage.Settled);
        Models.Model memory model = models.modelOf(entry.model);
        (uint32[9] memory rates, uint32 version) = _rates(model, entry.asset);
        uint256[9] memory legs = _carryForward(routeKey(entry.model, version), entry.asset, entry.amount, rates);
        uint256 total = 0;
        for (uint8 leg = 0; leg < LEGS; leg++) {
            total += legs[leg];
            pocketOf[leg][_beneficiary(leg, entry.model, model.domain)][entry.asset] += legs[leg];
        }
        suspenseOf[entry.asset] = suspenseOf[entry.asset] + entry.amount - total;
        emit RevenueSplit(
            receipt,
            entry.model,
            entry.asset,
            entry.amount,
            legs[LEG_CREATOR],
            legs[LEG_BACKERS],
            legs[LEG_FEES],
            legs[LEG_BUYBACK],
            legs[LEG_FOUNDATION],
            legs[LEG_DOMAIN],
            legs[LEG_VARIABLE_BURN],
            legs[LEG_YIELD],
            legs[LEG_EMISSION],
            RULESET
        );
    }

    /// @notice Pays an escrowed receipt back to its payer, instead of a settlement.
    function refund(bytes32 receipt) external onlyRole(SETTLER_ROLE) {
        Receipt storage entry = _close(receipt, Stage.Refunded);
        emit RevenueRefunded(receipt, entry.payer, entry.amount);
        IERC20(entry.asset).safeTransfer(entry.payer, entry.amount);
    }

    /// @notice Pays a pocket's whole content to whom it belongs. Anyone may call: the destination is not theirs to choose.
    function release(uint8 leg, bytes32 beneficiary, address asset) external {
        if (leg >= LEGS) revert UnknownLeg(leg);
        uint256 amount = pocketOf[leg][beneficiary][asset];
        if (amount == 0) revert EmptyPocket(leg, beneficiary, asset);
        pocketOf[leg][beneficiary][asset] = 0;
        if (leg == LEG_VARIABLE_BURN && asset == address(dn)) {
            emit Released(leg, beneficiary, address(0), asset, amount);
            dn.burn(amount);
            return;
        }
        address to = walletOf[leg];
        if (leg == LEG_CREATOR) to = models.modelOf(beneficiary).creator;
        if (leg == LEG_DOMAIN) to = domains.ownerOf(beneficiary);
        if (to == address(0)) revert ZeroAddress();
        emit Released(leg, beneficiary, to, asset, amount);
        IERC20(asset).safeTransfer(to, amount);
    }

    /// @notice The rates of the nine legs for `model` and `asset` now, and the route version that they belong to.
    function ratesOf(bytes32 model, address asset) external view returns (uint32[9] memory rates, uint32 version) {
        return _rates(models.modelOf(model), asset);
    }

    /// @notice The remainders of one route, in millionths of a base unit.
    function carriesOf(bytes32 model, uint32 version, address asset) external view returns (uint32[9] memory) {
        return _carries[routeKey(model, version)][asset];
    }

    /// @notice The key under which remainders are carried: a new route version starts from zero.
    function routeKey(bytes32 model, uint32 version) public pure returns (bytes32) {
        return keccak256(abi.encode(model, version));
    }

    function _carryForward(bytes32 key, address asset, uint256 amount, uint32[9] memory rates)
        private
        returns (uint256[9] memory legs)
    {
        uint32[9] memory carries = _carries[key][asset];
        for (uint256 leg = 0; leg < LEGS; leg++) {
            uint256 n = carries[leg] + amount * rates[leg];
            legs[leg] = n / PPM;
            carries[leg] = uint32(n % PPM);
        }
        _carries[key][asset] = carries;
    }

    function _close(bytes32 receipt, Stage stage) private returns (Receipt storage entry) {
        entry = receiptOf[receipt];
        if (entry.stage != Stage.Escrowed) revert NotEscrowed(receipt, entry.stage);
        entry.stage = stage;
        escrowOf[entry.asset] -= entry.amount;
    }

    function _rates(Models.Model memory model, address asset)
        private
        view
        returns (uint32[9] memory rates, uint32 version)
    {
        Domains.Route memory route = domains.routeOf(model.domain, asset);
        version = route.version;
        if (version == 0) revert NoRoute(model.domain, asset);
        uint32 yield = route.rates[5];
        if (yield > model.a) revert YieldAboveBackers(yield, model.a);
        rates[LEG_CREATOR] = model.b;
        rates[LEG_BACKERS] = model.a - yield;
        for (uint256 i = 0; i < 5; i++) rates[LEG_FEES + i] = route.rates[i];
        rates[LEG_YIELD] = yield;
        uint256 sum = 0;
        for (uint256 leg = 0; leg < LEG_EMISSION; leg++) sum += rates[leg];
        if (sum > PPM) revert RatesAboveOne(sum);
        rates[LEG_EMISSION] = uint32(PPM - sum);
    }

    function _beneficiary(uint8 leg, bytes32 model, bytes32 domain) private pure returns (bytes32) {
        if (leg == LEG_CREATOR || leg == LEG_BACKERS || leg == LEG_YIELD) return model;
        if (leg == LEG_BUYBACK || leg == LEG_FOUNDATION) return bytes32(0);
        return domain;
    }
}

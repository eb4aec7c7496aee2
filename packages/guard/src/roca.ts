/**
 * RSA moduli of the broken generator known as ROCA (CVE-2017-15361): their primes are powers of 65537 modulo many small primes,
 * so the modulus is one too. A good modulus passes for such with a chance of 2^-155.
 */
const generator = 65_537n;
const smallPrimes = [
  3n,
  5n,
  7n,
  11n,
  13n,
  17n,
  19n,
  23n,
  29n,
  31n,
  37n,
  41n,
  43n,
  47n,
  53n,
  59n,
  61n,
  67n,
  71n,
  73n,
  79n,
  83n,
  89n,
  97n,
  101n,
  103n,
  107n,
  109n,
  113n,
  127n,
  131n,
  137n,
  139n,
  149n,
  151n,
  157n,
  163n,
  167n,
];

export const isRocaModulus = (modulus: bigint): boolean =>
  smallPrimes.every((prime) => powersOf(prime).has(modulus % prime));

function powersOf(prime: bigint): ReadonlySet<bigint> {
  const powers = new Set<bigint>();
  for (let power = 1n; !powers.has(power); power = (power * generator) % prime) powers.add(power);
  return powers;
}

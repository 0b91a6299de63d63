/** The functions of an expression: signature and help. A test of the server compares
 * the names with its own. */
type Callable = { signature: string; help: string }

const over = (what: string): Callable => ({ signature: '(range)', help: `${what} in the range` })
const of = (help: string): Callable => ({ signature: '(x)', help })
const grouped = (help: string): Callable => ({ signature: ' by (tag, …) (x)', help })

export const FUNCTIONS: Record<string, Callable> = {
  sum: grouped('Sum of the series of each group'),
  avg: grouped('Mean of the series of each group'),
  min: grouped('Smallest of the series of each group'),
  max: grouped('Largest of the series of each group'),
  count: grouped('Number of series in each group'),
  stddev: grouped('Standard deviation of the series of each group'),
  quantile: { signature: ' by (tag, …) (0.95, x)', help: 'A quantile of each group' },
  topk: { signature: '(5, x)', help: 'The series with the largest values at each step' },
  bottomk: { signature: '(5, x)', help: 'The series with the smallest values at each step' },
  rate: {
    signature: '(counter[5m])',
    help: 'Increase of a counter per second, allowing for resets',
  },
  irate: {
    signature: '(counter[5m])',
    help: 'Increase per second between the last two samples',
  },
  increase: { signature: '(counter[1h])', help: 'Increase of a counter over the range' },
  delta: { signature: '(gauge[1h])', help: 'Change of a gauge over the range' },
  deriv: { signature: '(gauge[1h])', help: 'Slope of a gauge per second, by least squares' },
  avg_over_time: over('Mean of the samples'),
  min_over_time: over('Smallest sample'),
  max_over_time: over('Largest sample'),
  sum_over_time: over('Sum of the samples'),
  count_over_time: over('Number of samples'),
  last_over_time: over('Newest sample'),
  quantile_over_time: { signature: '(0.95, range)', help: 'A quantile of the samples' },
  stddev_over_time: over('Standard deviation of the samples'),
  present_over_time: over('1 where there is a sample'),
  absent_over_time: over('1 where there is no sample'),
  histogram_quantile: {
    signature: '(0.95, sum by (le) (rate(x_bucket[5m])))',
    help: 'A quantile of cumulative buckets, by their tag le',
  },
  absent: of('1 where there is no series'),
  label_replace: {
    signature: '(x, "to", "$1", "from", "(.*)")',
    help: 'Sets a tag from another one, by a regular expression',
  },
  scalar: of('A number from a single series'),
  vector: { signature: '(number)', help: 'A series without tags from a number' },
  abs: of('Absolute value'),
  ceil: of('Rounded up'),
  floor: of('Rounded down'),
  round: { signature: '(x, to)', help: 'To the nearest multiple of `to`, 1 if omitted' },
  clamp: { signature: '(x, min, max)', help: 'Limited to the range from min to max' },
  clamp_min: { signature: '(x, min)', help: 'Limited to at least min' },
  clamp_max: { signature: '(x, max)', help: 'Limited to at most max' },
  ln: of('Natural logarithm'),
  log2: of('Logarithm to base 2'),
  log10: of('Logarithm to base 10'),
  exp: of('e to the power of x'),
  sqrt: of('Square root'),
  time: { signature: '()', help: 'The evaluation time, in seconds since 1970' },
}

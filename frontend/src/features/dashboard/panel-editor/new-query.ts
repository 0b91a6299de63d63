/** How samples become one value, as the form offers it. In its own module: parsing a URL needs it,
 * but nothing else of the editor. */
export const AGGREGATIONS = ['none', 'avg', 'min', 'max', 'sum', 'count', 'last'] as const

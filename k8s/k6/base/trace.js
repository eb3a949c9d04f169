// Starts a trace with each request, so that what k6 asked can be found in Tempo and Loki by its id, and says in the
// baggage that no human asked (https://www.w3.org/TR/trace-context/, https://www.w3.org/TR/baggage/).

import { randomBytes } from 'k6/crypto';

const hex = (bytes) => Array.from(new Uint8Array(randomBytes(bytes)), (byte) => byte.toString(16).padStart(2, '0')).join('');

// Headers of one request.
export const traced = () => ({
  traceparent: `00-${hex(16)}-${hex(8)}-01`,
  baggage: 'synthetic_request=true',
});

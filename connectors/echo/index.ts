/** The echo connector's public face: an account without a platform, for tests and demonstrations. */
export { echoKind } from './echo.ts';
export { ECHO_MARKERS } from './markers.ts';

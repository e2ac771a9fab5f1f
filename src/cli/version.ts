// The room's imports are ours; this is what npm reads.
// biome-ignore lint/style/noRestrictedImports: it is data, and in one place
import packageJson from '../../package.json' with { type: 'json' };

export const { version } = packageJson;

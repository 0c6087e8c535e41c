/** What cameras see of an area or a line: the share of it that lies in each field of view. */

const SAMPLES = 24; // along each side of an area, and along a line

/** Give places spread over a shape. @param {"polygon" | "line"} kind @param {number[][]} points metres */
function samples(kind, points) {
  if (kind === "line") {
    const [[x1, y1], [x2, y2]] = points;
    return Array.from({ length: SAMPLES * 2 }, (_, n) => {
      const share = (n + 0.5) / (SAMPLES * 2);
      return [x1 + (x2 - x1) * share, y1 + (y2 - y1) * share];
    });
  }
  const xs = points.map(([x]) => x);
  const ys = points.map(([, y]) => y);
  const [left, right, bottom, top] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
  const found = [];
  for (let i = 0; i < SAMPLES; i += 1) {
    for (let j = 0; j < SAMPLES; j += 1) {
      const place = [left + ((right - left) * (i + 0.5)) / SAMPLES, bottom + ((top - bottom) * (j + 0.5)) / SAMPLES];
      if (isInside(place, points)) found.push(place);
    }
  }
  return found;
}

/** Say whether a place lies in a ring, by counting crossings. */
function isInside([x, y], ring) {
  let inside = false;
  for (let i = 0, j = ring.length - 1; i < ring.length; j = i, i += 1) {
    const [x1, y1] = ring[i];
    const [x2, y2] = ring[j];
    if (y1 > y !== y2 > y && x < ((x2 - x1) * (y - y1)) / (y2 - y1) + x1) inside = !inside;
  }
  return inside;
}

/**
 * Give, for each camera that sees some of it, its name and the share; and the share that nobody sees.
 * @param {{id: string, name: string, field_of_view_m: number[][]}[]} cameras
 */
export function seenBy(kind, points, cameras) {
  const places = samples(kind, points);
  if (!places.length) return { cameras: [], unseen: 0 };
  const views = cameras.filter((camera) => camera.field_of_view_m.length >= 3);
  const shares = views.map((camera) => ({
    name: camera.name,
    share: places.filter((place) => isInside(place, camera.field_of_view_m)).length / places.length,
  }));
  const unseen = places.filter((place) => !views.some((camera) => isInside(place, camera.field_of_view_m))).length;
  return {
    cameras: shares.filter(({ share }) => share > 0).sort((a, b) => b.share - a.share),
    unseen: unseen / places.length,
  };
}

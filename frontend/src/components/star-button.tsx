import { Star } from 'lucide-react'

type Props = { name: string; starred: boolean; onStar: (starred: boolean) => void }

/** Marks a dashboard as a favourite. */
export function StarButton({ name, starred, onStar }: Props) {
  return (
    <button
      type="button"
      aria-pressed={starred}
      aria-label={`Favourite: ${name}`}
      title={starred ? 'Remove from favourites' : 'Add to favourites'}
      className="grid size-8 shrink-0 place-items-center rounded-md text-muted hover:bg-raised hover:text-text"
      onClick={() => onStar(!starred)}
    >
      <Star
        size={17}
        aria-hidden="true"
        className={starred ? 'fill-star text-star' : ''}
        strokeWidth={1.75}
      />
    </button>
  )
}
